//! AMD accelerators, as the driver shows them in /sys.

use std::fs;
use std::path::{Path, PathBuf};

use super::kernel::percent;
use super::Values;

const VENDOR: &str = "0x1002";

/// Reads every card; they are numbered from `first` in the order of their names.
pub(super) fn read(sys: &Path, first: usize, values: &mut Values) {
    for (number, card) in cards(sys).iter().enumerate() {
        let name = |what: &str| format!("gpu/{}/{what}", first + number);
        if let Some(busy) = value(&card.join("gpu_busy_percent")) {
            values.push((name("utilization"), busy));
        }
        if let Some(used) = value(&card.join("mem_info_vram_used")) {
            values.push((name("memory_used"), used));
            if let Some(total) = value(&card.join("mem_info_vram_total")) {
                values.push((name("memory_percent"), percent(used, total)));
            }
        }
        let Some(sensors) = fs::read_dir(card.join("hwmon")).ok().and_then(|mut found| found.next()?.ok()) else {
            continue;
        };
        // millidegrees, microwatts, hertz
        let readings = [
            (["temp1_input", "temp2_input"], "temperature", 1e3),
            (["power1_average", "power1_input"], "power", 1e6),
            (["freq1_input", ""], "sm_clock", 1e6),
            (["freq2_input", ""], "memory_clock", 1e6),
        ];
        for (files, what, unit) in readings {
            if let Some(found) = files.iter().find_map(|file| value(&sensors.path().join(file))) {
                values.push((name(what), found / unit));
            }
        }
    }
}

fn cards(sys: &Path) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for entry in fs::read_dir(sys.join("class/drm")).into_iter().flatten().flatten() {
        // `card0`, not its connectors such as `card0-DP-1`
        let number = entry.file_name().to_str().and_then(|name| name.strip_prefix("card")?.parse().ok());
        let device = entry.path().join("device");
        let vendor = fs::read_to_string(device.join("vendor")).unwrap_or_default();
        if let (Some(number), VENDOR) = (number, vendor.trim()) {
            found.push((number, device));
        }
    }
    found.sort();
    found.into_iter().map(|(_, device)| device).collect()
}

fn value(file: &Path) -> Option<f64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_are_numbered_by_their_names_and_read_in_our_units() {
        let dir = tempfile::tempdir().unwrap();
        for (card, vendor, busy) in [("card10", VENDOR, "30"), ("card2", VENDOR, "20"), ("card0", "0x10de", "99")] {
            let device = dir.path().join("class/drm").join(card).join("device");
            let sensors = device.join("hwmon/hwmon4");
            fs::create_dir_all(&sensors).unwrap();
            for (file, text) in [
                ("vendor", vendor),
                ("gpu_busy_percent", busy),
                ("mem_info_vram_used", "25"),
                ("mem_info_vram_total", "100"),
            ] {
                fs::write(device.join(file), format!("{text}\n")).unwrap();
            }
            fs::write(sensors.join("temp1_input"), "41000\n").unwrap();
            fs::write(sensors.join("power1_average"), "750000000\n").unwrap();
        }
        fs::create_dir_all(dir.path().join("class/drm/card2-DP-1")).unwrap();
        let mut values = Values::new();
        read(dir.path(), 8, &mut values);
        let first: Vec<_> = values.iter().take(5).map(|(name, value)| (name.as_str(), *value)).collect();
        let wanted = [
            ("gpu/8/utilization", 20.0),
            ("gpu/8/memory_used", 25.0),
            ("gpu/8/memory_percent", 25.0),
            ("gpu/8/temperature", 41.0),
            ("gpu/8/power", 750.0),
        ];
        assert_eq!(first, wanted);
        assert_eq!((values.len(), values[5].clone()), (10, ("gpu/9/utilization".to_owned(), 30.0)));
    }
}
