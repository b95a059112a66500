//! What the operating system says of a process.

use std::{fs, time::Duration};

use crate::Outcome;

/// Clock ticks a second in `/proc`: `sysconf(_SC_CLK_TCK)`, so that figures have a
/// resolution of 10 ms on Linux.
fn ticks_per_second() -> u64 {
    // SAFETY: reads a constant of the system; no memory is involved.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).unwrap_or(100)
}

/// CPU time of a process so far, user and system, ended threads included.
pub fn cpu(pid: u32) -> Outcome<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the name in brackets and may hold spaces; fields are counted behind it.
    let (_, rest) = stat.rsplit_once(')').ok_or("an unknown form of /proc/PID/stat")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |n: usize| fields.get(n).and_then(|f| f.parse::<u64>().ok()).ok_or("a short /proc/PID/stat");
    // utime and stime are fields 14 and 15, from 1; `rest` begins with field 3.
    let ticks = field(11)? + field(12)?;
    Ok(Duration::from_secs_f64(ticks as f64 / ticks_per_second() as f64))
}

/// CPU time of the calling thread so far, to the nanosecond.
pub fn thread_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for the call, which writes nothing else. It cannot fail: the
    // clock is one that every Linux has; if it did, the time would stay zero.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Resident memory of a process, in bytes.
pub fn resident(pid: u32) -> Outcome<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).ok_or("no VmRSS in /proc/PID/status")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kib << 10)
}

/// The machine, in a few words: figures mean little without it.
pub fn machine() -> String {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|l| l.strip_prefix("model name"))
        .unwrap_or("unknown")
        .trim_start_matches([' ', '\t', ':']);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: u64 = memory.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    format!("{cpus} CPUs ({model}), {} GiB of memory", kib >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_time_and_memory() {
        let me = std::process::id();
        let mut n = 0_u64;
        while cpu(me).unwrap() < Duration::from_millis(20) {
            n = std::hint::black_box(n + 1);
        }
        assert!(resident(me).unwrap() > 100 << 10);
    }
}
