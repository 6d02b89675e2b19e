//! Completion of keys, under the shells themselves.

use super::lab::{Lab, has, ran};
use super::pty::Pty;
use crate::support::left_out;

/// A store with keys that shells would trip over.
fn lab() -> Lab {
    let lab = Lab::new();
    for key in ["backup/db", "backup/web", "host:1", "me@home", "~tilde", "plain"] {
        assert_eq!(lab.feed(&["update", key], "1").code, 0);
    }
    lab.feed(&["update", "elsewhere", "--namespace", "other"], "1");
    lab
}

/// What bash offers for a line: the words as readline cuts them.
fn bash(lab: &Lab, line: &str, words: &[&str]) -> Vec<String> {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let script = format!(
        "source <(lockd completions bash)
        COMP_LINE='{line}' COMP_POINT={} COMP_WORDS=({}) COMP_CWORD={}
        _lockd_with_keys lockd \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"
        printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        line.len(),
        quoted.join(" "),
        words.len() - 1
    );
    let ran = ran(&mut lab.shell("bash", &script));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{line}");
    let mut found: Vec<String> = ran.out.lines().map(str::to_owned).collect();
    found.sort();
    found
}

#[test]
fn bash_completes_keys() {
    if !has("bash") {
        return left_out("bash_completes_keys", "bash is not installed");
    }
    let lab = lab();
    assert_eq!(bash(&lab, "lockd get backup/", &["lockd", "get", "backup/"]), ["backup/db", "backup/web"]);
    assert_eq!(bash(&lab, "lockd get ", &["lockd", "get", ""]).len(), 6);
    assert_eq!(bash(&lab, "lockd get host:", &["lockd", "get", "host", ":"]), ["1"]);
    assert_eq!(bash(&lab, "lockd get host:1", &["lockd", "get", "host", ":", "1"]), ["1"]);
    assert_eq!(bash(&lab, "lockd get ~", &["lockd", "get", "~"]), ["\\~tilde"]);
    assert_eq!(bash(&lab, "lockd exec --ttl 5s pl", &["lockd", "exec", "--ttl", "5s", "pl"]), ["plain"]);
    assert_eq!(
        bash(&lab, "lockd --namespace other get e", &["lockd", "--namespace", "other", "get", "e"]),
        ["elsewhere"]
    );
    assert_eq!(bash(&lab, "lockd fence admit r --key pl", &["lockd", "fence", "admit", "r", "--key", "pl"]), ["plain"]);
    for (line, words) in [
        ("lockd exec plain -- pl", &["lockd", "exec", "plain", "--", "pl"][..]),
        ("lockd get plain pl", &["lockd", "get", "plain", "pl"]),
        ("lockd exec --ttl pl", &["lockd", "exec", "--ttl", "pl"]),
        ("lockd fence admit pl", &["lockd", "fence", "admit", "pl"]),
    ] {
        assert!(!bash(&lab, line, words).contains(&"plain".to_owned()), "{line}");
    }
    assert!(bash(&lab, "lockd get --na", &["lockd", "get", "--na"]).contains(&"--namespace".to_owned()));
    assert!(bash(&lab, "lockd bre", &["lockd", "bre"]).contains(&"break".to_owned()));
}

#[test]
fn completing_makes_no_store() {
    if !has("bash") {
        return left_out("completing_makes_no_store", "bash is not installed");
    }
    let lab = Lab::new();
    bash(&lab, "lockd get a", &["lockd", "get", "a"]);
    assert!(!lab.path("state/lockd").exists());
}

#[test]
fn fish_completes_keys() {
    if !has("fish") {
        return left_out("fish_completes_keys", "fish is not installed");
    }
    let lab = lab();
    let complete = |line: &str| -> Vec<String> {
        let script = format!("lockd completions fish | source; complete -C '{line}'");
        let ran = ran(lab.shell("fish", &script).env("LC_ALL", "C.UTF-8"));
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{line}");
        let mut found: Vec<String> = ran.out.lines().map(|l| l.split('\t').next().unwrap().to_owned()).collect();
        found.sort();
        found
    };
    assert_eq!(complete("lockd get backup/"), ["backup/db", "backup/web"]);
    assert_eq!(complete("lockd get host:"), ["host:1"]);
    assert_eq!(complete("lockd exec --ttl 5s pl"), ["plain"]);
    assert_eq!(complete("lockd --namespace other status e"), ["elsewhere"]);
    assert_eq!(complete("lockd fence admit r --key pl"), ["plain"]);
    for line in ["lockd get plain pl", "lockd exec --ttl pl", "lockd completions pl"] {
        assert!(!complete(line).contains(&"plain".to_owned()), "{line}");
    }
}

#[test]
fn zsh_completes_keys() {
    if !has("zsh") {
        return left_out("zsh_completes_keys", "zsh is not installed");
    }
    let lab = lab();
    std::fs::create_dir(lab.path("zsh")).unwrap();
    lab.file("zsh/_lockd", lab.run(["completions", "zsh"]).out);
    let dir = lab.path("zsh");
    let dir = dir.to_str().unwrap();
    lab.file(
        "zsh/.zshrc",
        format!("PS1='ready> '\nunsetopt prompt_sp\nfpath=({dir} $fpath)\nautoload -U compinit\ncompinit -u -D\n"),
    );
    let mut zsh = Pty::any(&lab, "zsh", &["-i"], &[("ZDOTDIR", dir), ("TERM", "dumb"), ("LC_ALL", "C.UTF-8")]);
    zsh.expect("ready> ");
    for (typed, completed) in [
        ("lockd get pl\t", "lockd get plain "),
        ("lockd exec --ttl 5s ho\t", "lockd exec --ttl 5s host:1 "),
        ("lockd --namespace other status e\t", "lockd --namespace other status elsewhere "),
        ("lockd status \\~t\t", "lockd status \\~tilde "),
        ("lockd fence admit r --key me\t", "lockd fence admit r --key me@home "),
    ] {
        zsh.type_in(typed);
        zsh.expect(completed);
        // Run it, whatever it says: then there is a new line.
        zsh.forget();
        zsh.type_in("\n");
        zsh.expect("ready> ");
        zsh.forget();
    }
    zsh.type_in("exit 7\n");
    assert_eq!(zsh.end().code, 7);
}
