//! File systems and hosts that are not as they should be: mounts in a namespace of the test's own, which needs root.

use super::lab::{Lab, Ran, is_root, ran};
use crate::support::left_out;

/// Runs a script where mounts are the script's own; `$D` is the lab, `$S` its store's directory.
pub fn apart(lab: &Lab, script: &str) -> Option<Ran> {
    if !is_root() {
        left_out("mounts in a namespace", "needs root");
        return None;
    }
    let mut command = std::process::Command::new("unshare");
    lab.dressed(&mut command).env("D", lab.path("")).env("S", lab.path("state/lockd"));
    command.args(["--mount", "--propagation", "private", "sh", "-euc", script]);
    Some(ran(&mut assert_cmd::Command::from_std(command)))
}

#[test]
fn a_read_only_mount_is_77_and_loses_nothing() {
    let lab = Lab::new();
    assert_eq!(lab.feed(&["update", "k"], "1").code, 0);
    let script = "mount --bind $S $S && mount -o remount,bind,ro $S
        set +e
        for args in 'update k' 'acquire -n k' 'exec k -- touch $D/ran' 'remove k'; do
            echo 2 | eval lockd $args >&2; echo $?
        done";
    let Some(ran) = apart(&lab, script) else { return };
    assert_eq!(ran.out, "77\n77\n77\n77\n", "{}", ran.err);
    assert!(ran.err.contains("remount it read-write"), "{}", ran.err);
    assert!(!lab.path("ran").exists(), "nothing runs without its lease");
    assert_eq!(lab.run(["get", "k"]).out, "1\n");
}

#[test]
fn a_store_is_never_made_where_a_mount_is_missing() {
    let lab = Lab::new();
    std::fs::create_dir(lab.path("mnt")).unwrap();
    lab.file("fstab", format!("srv:/x {} nfs defaults 0 0\n", lab.path("mnt").display()));
    let script = "[ -e /etc/fstab ] || exit 99
        mount --bind $D/fstab /etc/fstab
        set +e
        lockd exec --store disk://$D/mnt/store k -- touch $D/ran; echo $?
        mount -t tmpfs none $D/mnt
        lockd exec --store disk://$D/mnt/store k -- true; echo $?";
    let Some(ran) = apart(&lab, script) else { return };
    if ran.code == 99 {
        return left_out("a mount point of /etc/fstab", "there is no /etc/fstab to mount over");
    }
    assert_eq!(ran.out, "78\n0\n", "{}", ran.err);
    assert!(ran.err.contains("is in /etc/fstab, but not mounted; mount it"), "{}", ran.err);
    assert!(!lab.path("ran").exists());
    assert_eq!(std::fs::read_dir(lab.path("mnt")).unwrap().count(), 0, "nothing was made below it");
}

#[test]
fn a_full_disk_refuses_states_and_keeps_leases() {
    let lab = Lab::new();
    std::fs::create_dir(lab.path("mnt")).unwrap();
    lab.file("small", "1");
    lab.file("large", format!("\"{}\"", "x".repeat(3 << 20)));
    let script = "mount -t tmpfs -o size=2m none $D/mnt
        export LOCKD_STORE=disk://$D/mnt/store
        lockd update k $D/small
        set +e
        lockd update k $D/large; echo $?
        lockd exec --ttl 2s k -- sh -c 'dd if=/dev/zero of=$D/mnt/fill bs=4k 2>/dev/null; lockd update k $D/large; echo $?; lockd keepalive; echo $?'
        echo $?
        lockd get k; lockd status --check k; echo $?
        rm $D/mnt/fill; echo 2 | lockd update k; lockd get k";
    let Some(ran) = apart(&lab, script) else { return };
    assert_eq!(ran.out, "74\n74\n0\n0\n1\n1\n2\n", "{}", ran.err);
    assert!(ran.err.contains("the state of k: "), "{}", ran.err);
    assert!(ran.err.contains("free some space"), "{}", ran.err);
}

/// A lease whose holder is gone is taken over by the writer's boot-clock stamp at once when its time has passed; a host with another
/// boot id knows nothing of it and watches for a whole TTL itself.
#[test]
fn another_boot_id_is_no_evidence() {
    let lab = Lab::new();
    lab.file("boot_id", "00000000-1111-2222-3333-444444444444\n");
    // `--check` says only who wrote last, so the time is told by a key of the same age that this boot takes over.
    let script = "lockd acquire --ttl 2s k >$D/lease; lockd acquire --ttl 2s twin >$D/twin
        lockd exec -w 60s twin -- true
        set +e
        unshare --mount --propagation private sh -c '
            mount --bind $D/boot_id /proc/sys/kernel/random/boot_id
            XDG_RUNTIME_DIR=$D/elsewhere lockd exec -n k -- true'; echo $?
        lockd exec -n k -- true; echo $?";
    let Some(ran) = apart(&lab, script) else { return };
    assert_eq!(ran.out, "75\n0\n", "{}", ran.err);
}
