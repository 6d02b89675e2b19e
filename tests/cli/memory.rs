//! How much memory a state of 100 MiB costs: it streams through every command that carries it whole.

use super::lab::{Lab, has, ran};
use crate::support::left_out;

/// What must do for any command that carries a state (MiB).
const BOUND: u64 = 64;
const BYTES: usize = 100 * 1024 * 1024;

/// The most memory that the last command of a zsh script was in at once (MiB), the processes that it waited for included.
/// Only a shell that forks can say: what starts as a copy of this process counts this one's memory as its own.
fn peak(lab: &Lab, command: &str) -> u64 {
    let ran = ran(&mut lab.shell("zsh", &format!("TIMEFMT='peak %M'; time {command}")));
    assert_eq!(ran.code, 0, "{command}: {}", ran.err);
    let said = ran.err.lines().find_map(|line| line.strip_prefix("peak ")).unwrap_or_else(|| panic!("{}", ran.err));
    let mib = said.parse().unwrap();
    println!("{command}: at most {mib} MiB resident");
    mib
}

#[test]
fn a_state_of_100_mib_goes_in_and_out_under_64_mib() {
    if !has("zsh") {
        return left_out("the memory of commands", "needs zsh");
    }
    let lab = Lab::new();
    // Whether megabytes are what is counted, and whether anything is.
    let control = peak(&lab, "dd if=/dev/zero of=/dev/null bs=100M count=1 2>/dev/null");
    assert!((100..=110).contains(&control), "{control}");

    let mut text = vec![b'x'; BYTES];
    (text[0], text[BYTES - 1]) = (b'"', b'"');
    let one_value = lab.file("text.json", &text);
    let mut list = b"[".to_vec();
    list.resize(BYTES - 2, b'0');
    list.iter_mut().skip(2).step_by(2).for_each(|byte| *byte = b',');
    list.push(b']');
    let many_values = lab.file("list.json", &list);
    drop((text, list));
    for path in [one_value, many_values] {
        let file = path.file_name().unwrap().to_str().unwrap();
        for command in [
            &*format!("lockd update k ../{file}"),
            &*format!("lockd update k <../{file}"),
            "lockd get k >out.json",
            "lockd get k out.json",
            "lockd get --json k >/dev/null",
            "lockd get -o yaml k >/dev/null",
            "lockd exec --state-file k -- sh -c 'printf 1 | dd of=$LOCKD_STATE_FILE bs=1 seek=1 conv=notrunc 2>/dev/null'",
            "lockd status k >/dev/null",
        ] {
            let mib = peak(&lab, command);
            assert!(mib < BOUND, "{command}: {mib} MiB");
        }
        // What came back is what was sent, and the end of the line.
        let bytes = std::fs::metadata(&path).unwrap().len();
        let same = lab.shell("sh", &format!("cmp -n {bytes} out.json ../{file}")).output().unwrap();
        assert!(same.status.success(), "{same:?}");
        assert_eq!(lab.status("k")["state_bytes"], bytes);
    }
}
