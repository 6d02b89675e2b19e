//! The most memory that this process had, as the kernel counts it (`proc_pid_status(5)`, VmHWM).

/// Lets the count begin anew from what the process has now. Where that is not allowed, the peak is that since its start.
pub fn forget_peak() {
    // `proc_pid_clear_refs(5)`: 5 resets the peak resident set size.
    let _counts_on = std::fs::write("/proc/self/clear_refs", "5");
}

/// The peak, in bytes.
pub fn peak() -> Option<u64> {
    read(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn read(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_found_among_the_other_lines() {
        let status = "Name:\tlockd\nVmPeak:\t   99 kB\nVmHWM:\t    5240 kB\nVmRSS:\t    1 kB\n";
        assert_eq!(read(status), Some(5_240 * 1_024));
        assert_eq!((read(""), read("VmHWM: many kB")), (None, None));
        assert!(peak().is_some_and(|bytes| bytes > 100_000));
    }
}
