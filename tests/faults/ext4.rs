//! The real file system loses what was not synced: ext4 on a loop device, shut down under load (`EXT4_IOC_SHUTDOWN` without a flush
//! of its journal, as a loss of power does).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::ioctl::{Opcode, Setter, ioctl, opcode};
use rustix::mount::{UnmountFlags, unmount};
use tempfile::TempDir;

use super::crew::Crew;
use super::worker::Running;
use super::{pause, seed};
use crate::support::{full, left_out};

/// `include/uapi/linux/ext4.h`: shut down at once, what is in the journal but not on the disk is lost.
const NO_LOG_FLUSH: u32 = 2;
const SHUTDOWN: Opcode = opcode::read::<u32>(b'X', 125);

/// An ext4 file system in a file, mounted. Unmounted when dropped.
pub struct Ext4 {
    dir: TempDir,
    mounted: bool,
}

fn run(program: &str, args: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(args).output().map_err(|e| format!("{program}: {e}"))?;
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{program}: {text}")) }
}

impl Ext4 {
    /// Makes and mounts one; the error says why that cannot be done here.
    pub fn new(megabytes: u64) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("mounting a loop device needs root".into());
        }
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        std::fs::create_dir(dir.path().join("mnt")).map_err(|e| e.to_string())?;
        let mut fs = Self { dir, mounted: false };
        let image = File::create(fs.image()).map_err(|e| e.to_string())?;
        image.set_len(megabytes << 20).map_err(|e| e.to_string())?;
        run("mkfs.ext4", &["-q", "-F", "-m", "0", &fs.image().display().to_string()])?;
        fs.mount()?;
        Ok(fs)
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("mnt")
    }

    fn image(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    pub fn mount(&mut self) -> Result<(), String> {
        run("mount", &["-o", "loop", &self.image().display().to_string(), &self.path().display().to_string()])?;
        self.mounted = true;
        Ok(())
    }

    pub fn unmount(&mut self) -> Result<(), String> {
        unmount(self.path(), UnmountFlags::empty()).map_err(|e| format!("unmount: {e}"))?;
        self.mounted = false;
        Ok(())
    }

    /// `ro` or `rw`.
    pub fn remount(&self, how: &str) -> Result<(), String> {
        run("mount", &["-o", &format!("remount,{how}"), &self.path().display().to_string()])
    }

    /// The power goes. A sync that is under way at that moment may still say that it succeeded, though it did not (seen on Linux
    /// 6.18, about once in 30 shutdowns): an answer counts only when it came before this call.
    pub fn shut_down(&self) -> Result<(), String> {
        let root = File::open(self.path()).map_err(|e| e.to_string())?;
        // SAFETY: the kernel reads a u32 through the pointer that Setter passes (fs/ext4/ioctl.c, ext4_ioctl_shutdown).
        unsafe { ioctl(&root, Setter::<SHUTDOWN, u32>::new(NO_LOG_FLUSH)) }
            .map_err(|e| format!("EXT4_IOC_SHUTDOWN: {e}"))
    }

    /// What `e2fsck` finds in the image, which must not be mounted.
    pub fn examine(&self) -> Result<(), String> {
        run("e2fsck", &["-f", "-n", &self.image().display().to_string()])
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        if self.mounted {
            // A worker may still be on its way out.
            let _gone = unmount(self.path(), UnmountFlags::DETACH);
        }
    }
}

fn store(fs: &Ext4) -> PathBuf {
    Path::join(&fs.path(), "store")
}

/// Cuts the file system off under so many workers, again and again, and checks each time what is left.
pub fn cut_off_under(fs: &mut Ext4, crew: &mut Crew, workers: usize, rounds: usize, seed: u64) {
    for round in 0..rounds {
        let running: Vec<_> = (0..workers).map(|_| crew.start()).collect();
        let wait = Duration::from_millis(300 + crew.rng().below(1_200) as u64);
        pause(wait);
        // So that no answer comes of a sync that is under way now; what they acknowledged is in the journal.
        running.iter().for_each(Running::stop);
        fs.shut_down().unwrap();
        running.into_iter().for_each(|worker| worker.end());
        fs.unmount().unwrap();
        fs.mount().unwrap();
        let figures = crew.check().unwrap_or_else(|why| panic!("LOCKD_TEST_SEED={seed}: round {round}: {why}"));
        println!("round {round}: {figures:?}");
    }
}

#[test]
fn ext4_without_its_journal_keeps_every_answer() {
    let mut fs = match Ext4::new(128) {
        Ok(fs) => fs,
        Err(why) => return left_out("ext4 on a loop device", &why),
    };
    let rounds = if full("25 shutdowns of ext4 instead of 4") { 25 } else { 4 };
    let seed = seed();
    let mut crew = Crew::new(&store(&fs), 16, 3_000, seed);
    cut_off_under(&mut fs, &mut crew, 3, rounds, seed);
    crew.recover().unwrap_or_else(|why| panic!("LOCKD_TEST_SEED={seed}: {why}"));
    let figures = crew.check().unwrap_or_else(|why| panic!("LOCKD_TEST_SEED={seed}: {why}"));
    println!("{rounds} shutdowns of ext4, {figures:?}, seed {seed}");
    assert!(figures.updates > 20 * rounds, "too little was done to prove anything");
    fs.unmount().unwrap();
    fs.examine().unwrap();
}
