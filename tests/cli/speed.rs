//! How long a command takes from its start to its end, beside what it is compared with: printed, never asserted. The runs
//! alternate, so that what else the machine does meets all of them. `scripts/speed` runs this with the release build.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use lockd::clock::{Clock, SystemClock};

use super::lab::{Lab, has};
use crate::support::{full, left_out};

const RUNS: usize = 60;
/// About the size of the record of a key with a lease.
const RECORD: [u8; 1_000] = [b'x'; 1_000];

/// What is timed; each time has one run of every kind.
type Kind<'a> = (&'a str, Box<dyn FnMut() + 'a>);

fn run(command: &mut Command) {
    assert!(command.stdout(Stdio::null()).status().unwrap().success(), "{command:?}");
}

/// What the directory store does for one record, and nothing else: the cost of the disk in every grant and release.
fn durable_write(dir: &Path, n: usize) {
    let (temp, name) = (dir.join(format!("t.{n}")), dir.join(format!("r.{n}")));
    let file = File::options().write(true).create_new(true).mode(0o600).open(&temp).unwrap();
    std::io::Write::write_all(&mut &file, &RECORD).unwrap();
    file.sync_data().unwrap();
    drop(file);
    std::fs::hard_link(&temp, name).unwrap();
    File::open(dir).unwrap().sync_all().unwrap();
    std::fs::remove_file(temp).unwrap();
}

fn measure(kinds: &mut [Kind<'_>]) -> Vec<f64> {
    let mut all = vec![Vec::new(); kinds.len()];
    for _ in 0..RUNS {
        for (times, (_, kind)) in all.iter_mut().zip(kinds.iter_mut()) {
            let start = SystemClock.boot();
            kind();
            times.push(SystemClock.boot().since(start).as_secs_f64() * 1e3);
        }
    }
    let mut medians = Vec::new();
    for (mut times, (name, _)) in all.into_iter().zip(kinds) {
        times.sort_by(f64::total_cmp);
        let (best, median, p90) = (times[0], times[RUNS / 2], times[RUNS * 9 / 10]);
        println!("{name:28} {median:6.2} ms (best {best:.2}, p90 {p90:.2}, {RUNS} runs)");
        medians.push(median);
    }
    medians
}

#[test]
fn what_a_command_costs() {
    if !full("the time of start-up and of exec") {
        return;
    }
    if !has("flock") {
        return left_out("the time of exec beside flock", "needs flock");
    }
    let lab = Lab::new();
    assert_eq!(lab.run(["exec", "k", "--", "true"]).code, 0);
    let raw = lab.path("raw");
    std::fs::create_dir(&raw).unwrap();
    let mut n = 0;
    let medians = measure(&mut [
        ("true", Box::new(|| run(&mut Command::new("true")))),
        ("lockd --version", Box::new(|| run(lab.plain().arg("--version")))),
        ("flock FILE true", Box::new(|| run(Command::new("flock").arg(lab.path("lock")).arg("true")))),
        ("lockd exec k -- true", Box::new(|| run(lab.plain().args(["exec", "k", "--", "true"])))),
        (
            "two durable writes, alone",
            Box::new(|| {
                durable_write(&raw, n);
                durable_write(&raw, n + 1);
                n += 2;
            }),
        ),
    ]);
    let (over, writes) = (medians[3] - medians[2], medians[4]);
    println!("exec is {over:.2} ms over flock: {writes:.2} of two durable writes, {:.2} of all else", over - writes);
}
