//! Processor time that this machine spent since it started, on whatever it was (`proc_stat(5)`).

use std::time::Duration;

/// User, nice, system, interrupts: the columns of the line `cpu` in which a processor works for this machine.
const BUSY: [usize; 5] = [0, 1, 2, 5, 6];

/// The sum over all processors, where the kernel says it; to a hundredth of a second.
pub fn spent() -> Option<Duration> {
    read(&std::fs::read_to_string("/proc/stat").ok()?, rustix::param::clock_ticks_per_second())
}

fn read(stat: &str, ticks_per_second: u64) -> Option<Duration> {
    let columns = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let columns: Vec<u64> = columns.split_whitespace().map_while(|column| column.parse().ok()).collect();
    let ticks = BUSY.iter().map(|column| columns.get(*column).copied()).sum::<Option<u64>>()?;
    (ticks_per_second > 0).then(|| Duration::from_secs_f64(ticks as f64 / ticks_per_second as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_and_stolen_time_is_not_spent() {
        let stat = "cpu  100 20 30 9999 8888 4 6 777 40 0\ncpu0 1 2 3 4 5 6 7 8 9 0\nintr 5\n";
        assert_eq!(read(stat, 100), Some(Duration::from_millis(1_600)));
        assert_eq!((read("", 100), read("cpu  1 2 x\n", 100), read(stat, 0)), (None, None, None));
        assert!(spent().is_some_and(|spent| spent > Duration::ZERO));
    }
}
