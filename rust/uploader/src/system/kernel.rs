//! Processors, load, memory and swap, as /proc tells.

use std::fs;
use std::path::Path;

use super::Values;

/// Busy and total time of one processor, or of all, in ticks since the start of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Ticks {
    busy: u64,
    total: u64,
}

/// The times of the last look, the sum of all processors first.
#[derive(Debug, Default)]
pub(super) struct Processors(Vec<Ticks>);

impl Processors {
    /// Percent of the time since the last look.
    pub fn read(&mut self, proc: &Path, each: bool, values: &mut Values) {
        let text = fs::read_to_string(proc.join("stat")).unwrap_or_default();
        let now: Vec<Ticks> = text.lines().map_while(ticks).collect();
        for (number, (now, then)) in now.iter().zip(&self.0).enumerate() {
            let total = now.total.saturating_sub(then.total);
            if total == 0 || (number > 0 && !each) {
                continue;
            }
            let name = if number == 0 { "cpu/percent".to_owned() } else { format!("cpu/{}/percent", number - 1) };
            values.push((name, 100.0 * now.busy.saturating_sub(then.busy) as f64 / total as f64));
        }
        self.0 = now;
    }
}

/// A line such as `cpu3 user nice system idle iowait irq softirq steal guest guest_nice`. Guests are counted in user and nice.
fn ticks(line: &str) -> Option<Ticks> {
    let mut words = line.split_ascii_whitespace();
    words.next().filter(|name| name.starts_with("cpu"))?;
    let times: Vec<u64> = words.take(8).map_while(|word| word.parse().ok()).collect();
    let idle = times.get(3)? + times.get(4).copied().unwrap_or(0);
    let total: u64 = times.iter().sum();
    Some(Ticks { busy: total.saturating_sub(idle), total })
}

pub(super) fn load(proc: &Path, values: &mut Values) {
    let text = fs::read_to_string(proc.join("loadavg")).unwrap_or_default();
    for (name, word) in ["load/1m", "load/5m", "load/15m"].into_iter().zip(text.split_ascii_whitespace()) {
        if let Ok(value) = word.parse() {
            values.push((name.to_owned(), value));
        }
    }
}

pub(super) fn memory(proc: &Path, values: &mut Values) {
    let text = fs::read_to_string(proc.join("meminfo")).unwrap_or_default();
    let bytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kibibytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes * 1024.0)
    };
    if let (Some(total), Some(available)) = (bytes("MemTotal"), bytes("MemAvailable")) {
        values.push(("memory/used".to_owned(), total - available));
        values.push(("memory/available".to_owned(), available));
        values.push(("memory/percent".to_owned(), percent(total - available, total)));
    }
    if let (Some(total), Some(free)) = (bytes("SwapTotal").filter(|total| *total > 0.0), bytes("SwapFree")) {
        values.push(("swap/used".to_owned(), total - free));
        values.push(("swap/percent".to_owned(), percent(total - free, total)));
    }
}

pub(super) fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 {
        100.0 * part / whole
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(name), text).unwrap();
        dir
    }

    #[test]
    fn processors_are_percent_of_the_time_between_two_looks() {
        let stat =
            |busy: u64, idle: u64| format!("cpu  {busy} 0 0 {idle} 0 0 0 0 9 9\ncpu0 {busy} 0 0 {idle}\nintr 1 2\n");
        let dir = file("stat", &stat(100, 100));
        let (mut processors, mut values) = (Processors::default(), Values::new());
        processors.read(dir.path(), true, &mut values);
        assert_eq!(values, []);
        fs::write(dir.path().join("stat"), stat(130, 110)).unwrap();
        processors.read(dir.path(), true, &mut values);
        assert_eq!(values, [("cpu/percent".to_owned(), 75.0), ("cpu/0/percent".to_owned(), 75.0)]);
        values.clear();
        processors.read(dir.path(), false, &mut values);
        assert_eq!(values, [], "no time has passed");
    }

    #[test]
    fn memory_is_what_no_process_could_have() {
        let text = "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable: 250 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n";
        let mut values = Values::new();
        memory(file("meminfo", text).path(), &mut values);
        let wanted = [("memory/used", 768_000.0), ("memory/available", 256_000.0), ("memory/percent", 75.0)];
        assert_eq!(values, wanted.map(|(name, value)| (name.to_owned(), value)));
    }

    #[test]
    fn what_is_not_there_or_no_number_is_left_out() {
        let mut values = Values::new();
        for text in ["", "cpu", "cpu x y z", "garbage \0 \n\n", "MemTotal: much kB"] {
            for name in ["stat", "loadavg", "meminfo"] {
                let dir = file(name, text);
                Processors::default().read(dir.path(), true, &mut values);
                load(dir.path(), &mut values);
                memory(dir.path(), &mut values);
            }
        }
        assert_eq!(values, []);
    }
}
