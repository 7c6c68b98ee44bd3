//! Bytes through disks and network devices, and how full a file system is.

use std::fs;
use std::path::Path;

use super::kernel::percent;
use super::Values;

const SECTOR: u64 = 512;
/// Of a port of InfiniBand: its counters are in words of four bytes.
const WORD: u64 = 4;
/// Made of other devices, or in memory: their bytes are counted elsewhere, or are none.
const MADE_OF_OTHERS: [&str; 8] = ["loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd"];
const NOT_OUTSIDE: [&str; 13] =
    ["lo", "docker", "veth", "br-", "virbr", "cni", "flannel", "cali", "tun", "tap", "bond", "dummy", "vnet"];

/// Bytes since the start of the machine: in (read, received) and out.
type Counters = (u64, u64);

/// The counters of the last look.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    disk: Option<Counters>,
    network: Option<Counters>,
    infiniband: Option<Counters>,
}

impl Traffic {
    /// Bytes a second over the `seconds` since the last look.
    pub fn read(&mut self, proc: &Path, sys: &Path, seconds: f64, values: &mut Values) {
        let looks = [
            (&mut self.disk, disks(proc), ["disk/read_per_s", "disk/write_per_s"]),
            (&mut self.network, network(proc), ["network/received_per_s", "network/sent_per_s"]),
            (&mut self.infiniband, infiniband(sys), ["infiniband/received_per_s", "infiniband/sent_per_s"]),
        ];
        for (then, now, names) in looks {
            if let (Some(then), Some(now)) = (*then, now) {
                // A counter that fell is one of a device that went away.
                let bytes = [now.0.checked_sub(then.0), now.1.checked_sub(then.1)];
                for (name, bytes) in names.into_iter().zip(bytes) {
                    if let Some(bytes) = bytes.filter(|_| seconds > 0.0) {
                        values.push((name.to_owned(), bytes as f64 / seconds));
                    }
                }
            }
            *then = now;
        }
    }
}

/// How full the file system of `dir` is, for those who are not the administrator.
pub(super) fn room(dir: &Path, values: &mut Values) {
    let Ok(found) = rustix::fs::statvfs(dir) else { return };
    let block = found.f_frsize as f64;
    let (used, free) = ((found.f_blocks - found.f_bfree) as f64 * block, found.f_bavail as f64 * block);
    if used + free > 0.0 {
        values.push(("disk/percent".to_owned(), percent(used, used + free)));
        values.push(("disk/free".to_owned(), free));
    }
}

fn disks(proc: &Path) -> Option<Counters> {
    let text = fs::read_to_string(proc.join("diskstats")).ok()?;
    let mut whole: Vec<&str> = Vec::new();
    let mut sum = None;
    for line in text.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (Some(name), Some(read), Some(written)) = (words.get(2), number(&words, 5), number(&words, 9)) else {
            continue;
        };
        // Partitions follow their disk and begin with its name.
        if MADE_OF_OTHERS.iter().any(|other| name.starts_with(other)) || whole.iter().any(|disk| is_part(name, disk)) {
            continue;
        }
        whole.push(name);
        let (all_read, all_written) = sum.unwrap_or((0, 0));
        sum = Some((all_read + read * SECTOR, all_written + written * SECTOR));
    }
    sum
}

/// `sda1` of `sda`, `nvme0n1p2` of `nvme0n1`.
fn is_part(name: &str, disk: &str) -> bool {
    let Some(rest) = name.strip_prefix(disk) else { return false };
    let rest = if disk.ends_with(|last: char| last.is_ascii_digit()) { rest.strip_prefix('p') } else { Some(rest) };
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

fn network(proc: &Path) -> Option<Counters> {
    let text = fs::read_to_string(proc.join("net/dev")).ok()?;
    let mut sum = None;
    for line in text.lines() {
        let Some((name, rest)) = line.split_once(':') else { continue };
        let words: Vec<&str> = rest.split_ascii_whitespace().collect();
        let (Some(received), Some(sent)) = (number(&words, 0), number(&words, 8)) else { continue };
        if NOT_OUTSIDE.iter().any(|inside| name.trim().starts_with(inside)) {
            continue;
        }
        let (all_received, all_sent) = sum.unwrap_or((0, 0));
        sum = Some((all_received + received, all_sent + sent));
    }
    sum
}

fn infiniband(sys: &Path) -> Option<Counters> {
    let mut sum = None;
    for device in fs::read_dir(sys.join("class/infiniband")).ok()?.flatten() {
        for port in fs::read_dir(device.path().join("ports")).into_iter().flatten().flatten() {
            let counter = |name: &str| {
                let text = fs::read_to_string(port.path().join("counters").join(name)).ok()?;
                text.trim().parse::<u64>().ok()
            };
            if let (Some(received), Some(sent)) = (counter("port_rcv_data"), counter("port_xmit_data")) {
                let (all_received, all_sent) = sum.unwrap_or((0, 0));
                sum = Some((all_received + received * WORD, all_sent + sent * WORD));
            }
        }
    }
    sum
}

fn number(words: &[&str], at: usize) -> Option<u64> {
    words.get(at)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_counted_once_and_without_their_partitions() {
        let dir = tempfile::tempdir().unwrap();
        let line = |name: &str| format!("   8  0 {name} 1 0 10 0 1 0 20 0 0 0 0\n");
        let names = ["loop0", "nvme0n1", "nvme0n1p1", "nvme0n2", "sda", "sda1", "sdaa", "dm-0", "md127"];
        fs::write(dir.path().join("diskstats"), names.map(line).concat()).unwrap();
        assert_eq!(disks(dir.path()), Some((4 * 10 * SECTOR, 4 * 20 * SECTOR)));
    }

    #[test]
    fn rates_are_bytes_a_second_of_what_leaves_the_host() {
        let dir = tempfile::tempdir().unwrap();
        let (proc, mut traffic, mut values) = (dir.path(), Traffic::default(), Values::new());
        fs::create_dir(proc.join("net")).unwrap();
        let mut look = |received: u64, sent: u64| {
            let header = "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes\n";
            let text = format!(
                "{header}    lo: 9 0 0 0 0 0 0 0 9 0\n  eth0: {received} 0 0 0 0 0 0 0 {sent} 0\nveth1: 7 0 0 0 0 0 0 0 7\n"
            );
            fs::write(proc.join("net/dev"), text).unwrap();
            values.clear();
            traffic.read(proc, &proc.join("none"), 2.0, &mut values);
            values.clone()
        };
        assert_eq!(look(1_000, 100), []);
        let wanted = [("network/received_per_s".to_owned(), 500.0), ("network/sent_per_s".to_owned(), 50.0)];
        assert_eq!(look(2_000, 200), wanted);
        assert_eq!(look(10, 300), [("network/sent_per_s".to_owned(), 50.0)], "a counter that fell says nothing");
    }

    #[test]
    fn the_room_of_a_real_disk_adds_up() {
        let mut values = Values::new();
        room(Path::new("/"), &mut values);
        let [(_, percent), (_, free)] = &values[..] else { panic!("{values:?}") };
        assert!((0.0..=100.0).contains(percent) && *free >= 0.0);
        room(Path::new("/none/of/these"), &mut values);
        assert_eq!(values.len(), 2);
    }
}
