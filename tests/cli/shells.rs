//! What `acquire` prints, under the shells that will run it.

use super::lab::{Lab, has, ran};
use crate::support::left_out;

/// Texts that would do harm if anything in them were code.
const HOSTILE: [&str; 7] = [
    "$(touch hurt)",
    "`touch hurt`",
    "'; touch hurt; '",
    "\"; touch hurt; \"",
    "a\nb\ntouch hurt",
    "\\'\\\\'; touch hurt #",
    "*?[~ $HOME !! %s \\n é \t end\\",
];

fn shells() -> Vec<&'static str> {
    let all = ["bash", "dash", "zsh", "busybox sh"];
    let (there, gone): (Vec<_>, Vec<_>) = all.into_iter().partition(|shell| has(shell.split(' ').next().unwrap()));
    for shell in gone {
        left_out("the shell test", &format!("{shell} is not installed"));
    }
    there
}

#[test]
fn owner_and_reason_are_never_code() {
    for shell in shells() {
        for hostile in HOSTILE {
            let lab = Lab::new();
            let script = r#"l=$(lockd acquire k --owner "$TEXT" --reason "$TEXT") && eval "$l" || exit
                printf '%s' "$LOCKD_OWNER""#;
            let ran = ran(lab.shell(shell, script).env("TEXT", hostile));
            assert_eq!((ran.code, ran.out.as_str()), (0, hostile), "{shell}: {}", ran.err);
            assert!(!lab.path("work/hurt").exists(), "{shell} ran {hostile:?}");
            let status = lab.status("k");
            assert_eq!((&status["holder"]["owner"], &status["holder"]["reason"]), (&hostile.into(), &hostile.into()));
            let busy = lab.run(["acquire", "-n", "k"]);
            assert_eq!(busy.err.lines().count(), 1, "{}", busy.err);
        }
    }
}

#[test]
fn fish_reads_its_own_form() {
    if !has("fish") {
        return left_out("fish_reads_its_own_form", "fish is not installed");
    }
    for hostile in HOSTILE {
        let lab = Lab::new();
        let script = "lockd acquire -o fish k --owner \"$TEXT\" | source; and printf '%s' \"$LOCKD_OWNER\"";
        // fish takes what is outside ASCII apart where the locale has no UTF-8.
        let ran = ran(lab.shell("fish", script).env("TEXT", hostile).env("LC_ALL", "C.UTF-8"));
        assert_eq!((ran.code, ran.out.as_str()), (0, hostile), "{}", ran.err);
        assert!(!lab.path("work/hurt").exists(), "fish ran {hostile:?}");
    }
    let lab = Lab::new();
    for failing in [
        "lockd acquire -o fish a/../b",
        "timeout 60 lockd acquire -o fish a/../b",
        "lockd acquire -o fish a/../b | cat",
    ] {
        let ran = ran(&mut lab.shell("fish", &format!("{failing} | source; or exit 9")));
        assert_eq!(ran.code, 9, "{failing}: {}", ran.err);
    }
}

#[test]
fn every_form_carries_the_same_text() {
    for hostile in HOSTILE {
        let lab = Lab::new();
        let lease = lab.acquire("a", &["--owner", hostile]);
        assert!(lease.contains(&("LOCKD_OWNER".to_owned(), hostile.to_owned())), "{lease:?}");
        let json = lab.run(["acquire", "--json", "b", "--owner", hostile]).out;
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["owner"], hostile);
        let yaml = lab.run(["acquire", "-o", "yaml", "c", "--owner", hostile]).out;
        assert_eq!(serde_yaml::from_str::<serde_json::Value>(&yaml).unwrap()["owner"], hostile);
    }
}

#[test]
fn a_failed_acquire_fails_under_eval_and_takes_the_old_lease_back() {
    for shell in shells() {
        let lab = Lab::new();
        lab.acquire("k", &[]);
        let script = |args: &str| {
            format!(
                r#"LOCKD_KEY=old LOCKD_LEASE_ID=old LOCKD_STORE=kept
                eval "$(lockd --store "$REAL" acquire {args})"
                echo "$? [$LOCKD_KEY$LOCKD_LEASE_ID] $LOCKD_STORE""#
            )
        };
        for (args, code) in
            [("-n k", 75), ("-n -E 9 k", 9), ("a/../b", 64), ("", 64), ("--frob k", 64), ("--ttl 1 k", 64)]
        {
            let ran = ran(lab.shell(shell, &script(args)).env("REAL", lab.store()));
            assert_eq!(ran.out, format!("{code} [] kept\n"), "{shell} {args}: {}", ran.err);
        }
        // The idiom of the manual ends the script.
        for taking in ["lockd acquire -n k", "timeout 60 lockd acquire -n k", "lockd acquire -w 100ms k"] {
            let idiom = format!("l=$({taking}) && eval \"$l\" || exit; echo not reached");
            let ran = ran(&mut lab.shell(shell, &idiom));
            assert_eq!((ran.code, ran.out.as_str()), (75, ""), "{shell} {taking}: {}", ran.err);
        }
        // A pipe hides the exit code, and the code that is printed fails all the same.
        let piped =
            ran(&mut lab.shell(shell, "l=$(lockd acquire -n k | cat) && eval \"$l\" || exit; echo not reached"));
        assert_eq!((piped.code, piped.out.as_str()), (75, ""), "{shell}: {}", piped.err);
    }
}

#[test]
fn a_script_works_with_what_eval_set() {
    for shell in shells() {
        let lab = Lab::new();
        let script = r#"l=$(lockd acquire jobs/import --ttl 1m) && eval "$l" || exit
            echo '{"n":1}' | lockd update && lockd keepalive && lockd release && lockd get jobs/import"#;
        // The lease's own store is used, whatever the default is by then.
        let ran = ran(&mut lab.shell(shell, script));
        assert_eq!((ran.code, ran.out.as_str()), (0, "{\"n\":1}\n"), "{shell}: {}", ran.err);
    }
}
