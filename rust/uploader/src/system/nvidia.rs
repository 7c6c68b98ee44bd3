//! NVIDIA accelerators, through NVML where it is installed.

use std::path::{Path, PathBuf};

use nvml_wrapper::enum_wrappers::device::{Clock, EccCounter, MemoryError, TemperatureSensor};
use nvml_wrapper::Nvml;

use super::kernel::percent;
use super::Values;

/// Where NVML lies, when it is not among the libraries of the system.
const PLACE: &str = "STEPLINE_NVML";
/// Without a version number it belongs to the development files, which a training image need not have.
const LIBRARY: &str = "libnvidia-ml.so.1";

/// None where there is no library, or it does not work.
#[derive(Debug)]
pub(super) struct Nvidia(Option<Nvml>);

impl Nvidia {
    /// The library of this machine. The first call of it may take a second.
    pub fn find() -> Nvidia {
        let place = std::env::var_os(PLACE).map_or_else(|| PathBuf::from(LIBRARY), PathBuf::from);
        Nvidia::open(&place)
    }

    fn open(library: &Path) -> Nvidia {
        let opened = Nvml::builder().lib_path(library.as_os_str()).init();
        if let Err(err) = &opened {
            log::debug!("no readings of NVIDIA accelerators: {err}");
        }
        Nvidia(opened.ok())
    }

    /// Reads every device, and returns how many there are.
    pub fn read(&self, values: &mut Values) -> usize {
        let Some(nvml) = &self.0 else { return 0 };
        let count = nvml.device_count().unwrap_or(0);
        for number in 0..count {
            read_device(nvml, number, values);
        }
        count as usize
    }
}

/// What a device does not know is left out.
fn read_device(nvml: &Nvml, number: u32, values: &mut Values) {
    let Ok(device) = nvml.device_by_index(number) else { return };
    let mut put = |name: &str, value: f64| values.push((format!("gpu/{number}/{name}"), value));
    if let Ok(busy) = device.utilization_rates() {
        put("utilization", f64::from(busy.gpu));
        put("memory_activity", f64::from(busy.memory));
    }
    if let Ok(memory) = device.memory_info() {
        put("memory_used", memory.used as f64);
        put("memory_percent", percent(memory.used as f64, memory.total as f64));
    }
    if let Ok(degrees) = device.temperature(TemperatureSensor::Gpu) {
        put("temperature", f64::from(degrees));
    }
    if let Ok(milliwatts) = device.power_usage() {
        put("power", f64::from(milliwatts) / 1e3);
    }
    for (clock, name) in [(Clock::SM, "sm_clock"), (Clock::Memory, "memory_clock")] {
        if let Ok(megahertz) = device.clock_info(clock) {
            put(name, f64::from(megahertz));
        }
    }
    if let Ok(errors) = device.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile) {
        put("ecc_errors", errors as f64);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// tests/nvml.c as a library.
    fn stand_in(dir: &Path) -> PathBuf {
        let (source, library) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nvml.c"), dir.join("libnvml.so"));
        let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status();
        assert!(built.unwrap().success());
        library
    }

    #[test]
    fn each_device_tells_what_it_knows() {
        let dir = tempfile::tempdir().unwrap();
        let mut values = Values::new();
        assert_eq!(Nvidia::open(&stand_in(dir.path())).read(&mut values), 2);
        let found: Vec<_> = values.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let wanted = [
            ("gpu/0/utilization", 90.0),
            ("gpu/0/memory_activity", 40.0),
            ("gpu/0/memory_used", 250.0),
            ("gpu/0/memory_percent", 25.0),
            ("gpu/0/temperature", 61.0),
            ("gpu/0/power", 312.5),
            ("gpu/0/sm_clock", 1980.0),
            ("gpu/0/memory_clock", 2619.0),
            ("gpu/1/utilization", 91.0),
            ("gpu/1/memory_activity", 40.0),
            ("gpu/1/temperature", 61.0),
            ("gpu/1/power", 312.5),
            ("gpu/1/sm_clock", 1980.0),
            ("gpu/1/memory_clock", 2619.0),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn without_the_library_there_is_no_device() {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("libnvidia-ml.so.1");
        let mut values = Values::new();
        assert_eq!(Nvidia::open(&library).read(&mut values), 0);
        std::fs::write(&library, "no library").unwrap();
        assert_eq!(Nvidia::open(&library).read(&mut values), 0);
        assert_eq!(values, []);
    }
}
