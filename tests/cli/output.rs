//! What goes where: data to standard output, all else to standard error, nothing that a terminal would obey.

use super::lab::{Lab, ran};

#[test]
fn names_from_elsewhere_cannot_drive_a_terminal() {
    let lab = Lab::new();
    let evil = "\x1b[31mred\x07\r\u{202e}";
    lab.acquire("k", &["--owner", evil, "--reason", evil]);
    let (busy, status) = (lab.run(["acquire", "-n", "k"]), lab.run(["status", "k"]));
    for text in [&busy.err, &status.out] {
        assert!(text.contains("\\u{1b}[31mred"), "{text:?}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{text:?}");
    }
    assert_eq!(lab.status("k")["holder"]["owner"], evil);
}

#[test]
fn errors_are_one_line_or_one_object() {
    let lab = Lab::new();
    lab.acquire("k", &["--owner", "me"]);
    let text = lab.run(["acquire", "-n", "k"]).err;
    assert!(text.starts_with("lockd: k is held by me") && text.lines().count() == 1, "{text}");
    let json = lab.run(["acquire", "-n", "--json", "k"]).err;
    let error: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&error["schema"], &error["error"], &error["exit"]), (&1.into(), &"waiting".into(), &75.into()));
    assert_eq!(error["holder"]["owner"], "me");
    assert!(error["message"].as_str().unwrap().starts_with("k is held by me") && error["hint"].is_string());
    let json = lab.run(["get", "--json", "../x"]).err;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["error"], "invalid_key");
}

#[test]
fn colour_is_for_terminals_and_who_asks_for_it() {
    let lab = Lab::new();
    let stderr = |args: &[&str], env: &[(&str, &str)]| {
        ran(lab.lockd().args(["get", "../x"]).args(args).envs(env.iter().copied())).err
    };
    assert!(!stderr(&[], &[]).contains('\x1b'));
    assert!(stderr(&["--color", "always"], &[("NO_COLOR", "1")]).contains('\x1b'));
    assert!(stderr(&[], &[("LOCKD_COLOR", "always")]).contains('\x1b'));
    assert!(!stderr(&["--color", "never"], &[("LOCKD_COLOR", "always")]).contains('\x1b'));
    assert!(!stderr(&["--color", "auto"], &[("TERM", "dumb")]).contains('\x1b'));
}

#[test]
fn documents_have_their_schema_and_quiet_commands_are_quiet() {
    let lab = Lab::new();
    lab.feed(&["update", "k"], "1");
    lab.acquire("l", &[]);
    for args in [&["status", "k"][..], &["get", "k"], &["remove", "k"], &["acquire", "m"]] {
        let json: serde_json::Value = serde_json::from_str(&lab.run(args.iter().chain(&["--json"])).out).unwrap();
        assert_eq!(json["schema"], 1, "{args:?}");
        let yaml = lab.run(["status", "k", "-o", "yaml"]).out;
        assert!(yaml.starts_with("schema: 1\n"), "{yaml}");
    }
    let ran = lab.feed(&["update", "k", "-q"], "1");
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    let ran = lab.run(["remove", "k"]);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
}
