//! Places that cannot hold locks, by two commands: `verify store` refuses each (1), and a server does not start on it (78).

use serde_json::Value;

use super::lab::{Lab, Ran, is_root, ran};
use super::mounts::apart;

/// A place, made by a script as `$D/p`, and what is said of it.
struct Case {
    script: &'static str,
    check: &'static str,
    says: &'static str,
    remedy: &'static str,
}

const fn case(script: &'static str, check: &'static str, says: &'static str, remedy: &'static str) -> Case {
    Case { script, check, says, remedy }
}

/// For these nobody has to be root.
const PLAIN: [Case; 5] = [
    case(":", "directory", "is not there", "mkdir -m 700"),
    case(": >$D/p", "directory", "is a file", "name a directory"),
    case(": >$D/file; ln -s file $D/p", "directory", "is a file", "name a directory"),
    case("mkdir -m 777 $D/p; chmod 777 $D/p", "mode", "everyone may write", "chmod o-w"),
    case("mkdir -m 500 $D/p", "mode", "its owner may not", "chmod u+rwx"),
];

const MOUNTED: [Case; 4] = [
    case(
        "mkdir -m 700 $D/p; mount --bind $D/p $D/p; mount -o remount,bind,ro $D/p",
        "writable",
        "Read-only",
        "remount it read-write",
    ),
    case(
        "mkdir -m 700 $D/p; mount -t tmpfs -o size=64m,mode=700 none $D/p; dd if=/dev/zero of=$D/p/fill bs=64k 2>/dev/null || :",
        "room",
        "0 MiB free",
        "make room",
    ),
    case(
        "mkdir -m 700 $D/p; mount -t tmpfs -o size=64m,mode=700,nr_inodes=10 none $D/p",
        "inodes",
        "free",
        "more inodes",
    ),
    case(
        "mkdir -m 700 $D/p; echo srv:/x $D/p nfs defaults 0 0 >$D/fstab
         [ -e /etc/fstab ] || : >/etc/fstab; mount --bind $D/fstab /etc/fstab",
        "directory",
        "but not mounted",
        "mount ",
    ),
];

/// Both commands. Memory for a disk is accepted, so that what else is wrong is seen.
const BOTH: &str = "
    set +e
    lockd verify store --quick --allow-volatile --json $D/p >$D/verified; echo $?
    lockd serve --store disk://$D/p --listen 127.0.0.1:0 2>$D/served; echo $?";

fn refused(lab: &Lab, case: &Case, ran: &Ran) {
    let (script, served) = (case.script, std::fs::read_to_string(lab.path("served")).unwrap());
    let verified = std::fs::read(lab.path("verified")).unwrap();
    assert_eq!(ran.out, "1\n78\n", "{script}: {} {served}", ran.err);
    let body: Value = serde_json::from_slice(&verified).unwrap();
    let failed: Vec<&Value> =
        body["checks"].as_array().unwrap().iter().filter(|check| check["outcome"] == "fail").collect();
    assert_eq!(failed[0]["id"], case.check, "{script}: {body}");
    let (saw, advice) = (failed[0]["saw"].as_str().unwrap(), failed[0]["advice"].as_str().unwrap());
    assert!(saw.contains(case.says) && advice.contains(case.remedy), "{script}: {body}");
    let told = format!("cannot hold locks: {}: {saw}", case.check);
    assert!(served.contains(&told) && served.contains(case.remedy), "{script}: {told}: {served}");
}

#[test]
fn bad_places_are_refused_by_both_commands() {
    for case in &PLAIN {
        let lab = Lab::new();
        let script = format!("D={}\n{}\n{BOTH}", lab.path("").display(), case.script);
        refused(&lab, case, &ran(&mut lab.shell("sh", &script)));
    }
}

#[test]
fn bad_mounts_are_refused_by_both_commands() {
    for case in &MOUNTED {
        let lab = Lab::new();
        let Some(ran) = apart(&lab, &format!("{}\n{BOTH}", case.script)) else { return };
        refused(&lab, case, &ran);
    }
}

/// What another user's process makes there could not be read by the owner.
#[test]
fn a_directory_of_another_user_is_refused_by_both_commands() {
    if !is_root() {
        return crate::support::left_out("a directory of another user", "needs root");
    }
    let lab = Lab::new();
    let path = lab.path("p");
    std::fs::create_dir(&path).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let verified = ran(lab.as_nobody().args(["verify", "store", "--quick"]).arg(&path));
    assert_eq!(verified.code, 1, "{}", verified.out);
    assert!(verified.out.contains("FAIL"), "{}", verified.out);
    let store = format!("disk://{}", path.display());
    let served = ran(lab.as_nobody().args(["serve", "--listen", "127.0.0.1:0", "--store", &store]));
    assert_eq!(served.code, 78, "{}", served.err);
    assert!(served.err.contains("cannot hold locks") && served.err.contains("Permission denied"), "{}", served.err);
}

/// Memory is refused by the check unless it is accepted; a server warns, and never makes a store on what a restart leaves of it.
#[test]
fn a_store_in_memory_is_refused_or_warned_about() {
    let lab = Lab::new();
    let script = "mkdir -m 700 $D/p; mount -t tmpfs -o mode=700 none $D/p
        lockd list --store disk://$D/p 2>/dev/null
        set +e
        lockd verify store --quick $D/p; echo code $?
        lockd serve --store disk://$D/p --listen 127.0.0.1:0 2>$D/served &
        while kill -0 $! && ! grep -q listening $D/served; do sleep 0.05; done
        kill $!; wait $!; echo code $?
        cat $D/served
        ls -A $D/p
        umount $D/p
        lockd serve --store disk://$D/p --listen 127.0.0.1:0 2>&1; echo code $?";
    let Some(ran) = apart(&lab, script) else { return };
    let codes: Vec<&str> = ran.out.lines().filter_map(|line| line.strip_prefix("code ")).collect();
    assert_eq!(codes, ["1", "0", "78"], "{} {}", ran.out, ran.err);
    for says in ["FAIL  durable", "WARN verified check=\"durable\"", "a server makes no store"] {
        assert!(ran.out.contains(says), "{says:?} is not in {}", ran.out);
    }
    assert!(!ran.out.contains("verify."), "nothing stays: {}", ran.out);
}

/// Two hosts, as far as one kernel can play them: host names and network stacks of their own.
#[test]
fn two_hosts_meet_in_a_directory() {
    let lab = Lab::new();
    let script = "mkdir -m 700 $D/p
        host() { unshare --uts --net sh -c \"hostname $1; exec lockd verify store --peer --allow-volatile --json $D/p\" >$D/$1; }
        host anna & host bert; echo $?
        wait $!; echo $?
        ls -A $D/p";
    let Some(ran) = apart(&lab, script) else { return };
    assert_eq!(ran.out, "0\n0\n", "{}", ran.err);
    for (host, other) in [("anna", "bert"), ("bert", "anna")] {
        let body: Value = serde_json::from_slice(&std::fs::read(lab.path(host)).unwrap()).unwrap();
        let checks = body["checks"].as_array().unwrap();
        let met = checks.iter().find(|check| check["id"] == "peer").unwrap();
        assert_eq!(met["saw"], format!("met {other} through the store"));
        assert!(checks.iter().any(|check| check["id"] == "peer-swaps"), "{body}");
    }
}
