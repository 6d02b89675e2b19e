//! exec inside exec, and after acquire: the same key again is a usage error while the lease stands, and nothing else is.

use super::sandbox::Sandbox;

/// What a script prints that runs under the key `k`.
fn inside(sandbox: &Sandbox, keys: &[&str], script: &str) -> String {
    let out = sandbox.run(keys, script);
    assert!(out.status.success(), "{out:?}");
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn the_same_key_inside_is_refused_however_its_store_is_spelled() {
    let sandbox = Sandbox::new();
    std::os::unix::fs::symlink(sandbox.path("store"), sandbox.path("link")).unwrap();
    std::fs::create_dir(sandbox.path("state")).unwrap();
    std::os::unix::fs::symlink(sandbox.path("store"), sandbox.path("state/lockd")).unwrap();
    std::fs::write(sandbox.path("place.env"), format!("LOCKD_STORE=disk://{}\n", sandbox.text("link"))).unwrap();
    for spelled in [
        "exec",
        "--store disk://$D/store/ exec",
        "--store disk://$D//./store exec",
        "--store disk://$D/link exec",
        "exec -w 1h",
        "exec other",
        "exec zzz other",
    ] {
        let printed = inside(&sandbox, &["k"], &format!("$LOCKD {spelled} k -- touch $D/ran; echo $?"));
        assert_eq!(printed, "64\n", "{spelled}");
    }
    for (unset, args) in [("LOCKD_STORE", "--env-file place.env"), ("LOCKD_STORE", "")] {
        let script =
            format!("unset {unset}; export XDG_STATE_HOME=$D/state; $LOCKD {args} exec k -- touch $D/ran; echo $?");
        assert_eq!(inside(&sandbox, &["k"], &script), "64\n", "{args}");
    }
    // One of several, and deeper down.
    assert_eq!(
        inside(&sandbox, &["a", "k", "b"], "for k in a b k; do $LOCKD exec $k -- true; echo $?; done"),
        "64\n64\n64\n"
    );
    let deep = "$LOCKD exec b -- $LOCKD exec c -- sh -c 'for k in k b c; do $LOCKD exec $k -- true; echo $?; done'";
    assert_eq!(inside(&sandbox, &["k"], deep), "64\n64\n64\n");
    assert!(!sandbox.path("ran").exists());
}

#[test]
fn another_key_store_or_namespace_inside_works() {
    let sandbox = Sandbox::new();
    let script = "$LOCKD exec other -- true; echo $?; $LOCKD --namespace n exec k -- true; echo $?
        $LOCKD -q --store disk://$D/second exec k -- sh -c '$LOCKD --store disk://$D/store exec -n k -- true; echo $?'";
    // The last one comes back to the first store and key from inside another of the same name.
    assert_eq!(inside(&sandbox, &["k"], script), "0\n0\n64\n");
}

#[test]
fn a_command_inside_uses_the_leases_around_it() {
    let sandbox = Sandbox::new();
    let script = r#"$LOCKD exec b -- sh -c 'echo 1 | $LOCKD update a && echo 2 | $LOCKD update b && echo 3 | $LOCKD update
        printf "%s\n" "$LOCKD_LEASES"; $LOCKD get a; $LOCKD get b'"#;
    let printed = inside(&sandbox, &["a"], script);
    let lines: Vec<&str> = printed.lines().collect();
    let leases: Vec<serde_json::Value> = serde_json::from_str(lines[0]).unwrap();
    assert_eq!((leases.len(), &leases[0]["key"], &leases[1]["key"]), (2, &"b".into(), &"a".into()));
    assert_eq!(
        (leases[1]["namespace"].as_str(), leases[1]["store"].as_str()),
        (Some("default"), Some(&*sandbox.store()))
    );
    assert_eq!(lines[1..], ["1", "3"]);
}

#[test]
fn after_a_release_the_environment_hinders_nobody() {
    let sandbox = Sandbox::new();
    let script = r#"l=$($LOCKD acquire -q k) && eval "$l" || exit
        $LOCKD exec k -- true; echo $?
        $LOCKD release && $LOCKD exec k -- sh -c 'test -z "$LOCKD_LEASES" && $LOCKD exec k -- true'; echo $?
        $LOCKD exec -n k -- true; echo $?"#;
    let out = sandbox.any("sh").args(["-c", script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stdout), "64\n64\n0\n", "{out:?}");
}

#[test]
fn a_lease_that_is_acquired_inside_hides_none_around() {
    let sandbox = Sandbox::new();
    let script = r#"l=$($LOCKD acquire -q b) && eval "$l" || exit
        for k in a b; do $LOCKD exec $k -- true; echo $?; done
        $LOCKD release && l=$($LOCKD acquire -q c) && eval "$l" || exit
        for k in a b c; do $LOCKD exec $k -- true; echo $?; done
        echo 1 | $LOCKD update a && echo 2 | $LOCKD update b && echo 3 | $LOCKD update; echo $?"#;
    assert_eq!(inside(&sandbox, &["a"], script), "64\n64\n64\n0\n64\n0\n");
}
