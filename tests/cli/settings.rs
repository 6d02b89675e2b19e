//! `lockd config` and `lockd help`: what can be set, and what holds.

use serde_json::Value;

use super::lab::{Lab, ran};

#[test]
fn a_generated_file_changes_nothing_until_it_is_edited() {
    let lab = Lab::new();
    let file = lab.run(["config", "gen"]);
    assert_eq!((file.code, file.err.as_str()), (0, ""));
    let path = lab.file("config.yaml", &file.out);
    let with = |args: &[&str]| lab.run(["--config", path.to_str().unwrap()].iter().chain(args));
    assert_eq!(with(&["config", "show"]).out, lab.run(["config", "show"]).out);
    lab.file("config.yaml", file.out.replace("#ttl: 30s", "ttl: 1h"));
    let shown = with(&["config", "show", "--origin"]).out;
    let of_ttl = shown.lines().find(|line| line.starts_with("ttl: ")).unwrap();
    assert!(of_ttl.split_whitespace().nth(1) == Some("1h") && of_ttl.contains("ttl in "), "{shown}");
    // What is shown are names that such a file may hold.
    let shown = lab.run(["config", "show"]).out;
    let names: Vec<&str> = shown.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert!(names.len() >= 7, "{shown}");
    for name in names {
        assert!(file.out.contains(&format!("#{name}: ")), "{name} is not in {}", file.out);
    }
}

#[test]
fn every_value_says_where_it_came_from() {
    let lab = Lab::new();
    let config = lab.file("c.yaml", "owner: from-config\nstore: disk:///a\n");
    let env = lab.file("x.env", "LOCKD_TTL=1m\n");
    let mut command = lab.lockd();
    command.args(["--config", config.to_str().unwrap(), "--env-file", env.to_str().unwrap(), "--namespace", "ns"]);
    command.env("LOCKD_SERVER", "https://me:geheim@lock1:9341").args(["config", "show", "--origin"]);
    let text = ran(&mut command).out;
    let json: Value = serde_json::from_str(&ran(command.arg("--json")).out).unwrap();
    let setting = |name: &str| {
        let all = json["settings"].as_array().unwrap();
        all.iter().find(|setting| setting["name"] == name).unwrap_or_else(|| panic!("{name}: {json}")).clone()
    };
    for (name, value, origin) in [
        ("server", "https://me:***@lock1:9341", "environment"),
        ("store", "disk:///a", "config"),
        ("namespace", "ns", "flag"),
        ("ttl", "1m", "env_file"),
        ("owner", "from-config", "config"),
        ("color", "auto", "default"),
    ] {
        let setting = setting(name);
        assert_eq!((&setting["value"], &setting["origin"]), (&value.into(), &origin.into()), "{name}");
        assert!(text.contains(value), "{text}");
    }
    assert!(!text.contains("geheim") && !json.to_string().contains("geheim"));
    assert!(text.contains("LOCKD_TTL in ") && text.contains("owner in ") && text.contains("--namespace"), "{text}");
    assert_eq!(json["config"], config.to_str().unwrap());
    assert_eq!(lab.run(["config"]).code, 64);
}

#[test]
fn help_explains_commands_and_topics() {
    let lab = Lab::new();
    let codes = lab.run(["help", "exit-codes"]).out;
    for code in ["81", "82", "84"] {
        assert!(codes.lines().any(|line| line.starts_with(&format!("  {code} "))), "{codes}");
    }
    assert!(codes.contains("nothing to break") && codes.contains("stale"), "{codes}");
    for words in
        [&["help", "fence", "admit"][..], &["help", "config", "show"], &["help", "break"], &["help", "guarantees"]]
    {
        assert_eq!(lab.run(words).code, 0, "{words:?}");
    }
    assert_eq!(lab.run(["help", "fence", "nothing"]).code, 64);
}
