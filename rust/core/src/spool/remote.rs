//! File systems on which a mapping is not to be trusted: a server that goes away makes a store a SIGBUS or a wait without an end, and
//! room that was reserved is not kept everywhere.

use std::path::Path;

/// The numbers that `statfs` gives, from linux/magic.h and from the sources of the file systems that are not in the kernel.
#[cfg(target_os = "linux")]
const REMOTE: [u64; 18] = [
    0x6969,      // NFS
    0x517b,      // SMB
    0xff53_4d42, // CIFS
    0xfe53_4d42, // SMB 2 and later
    0x6573_5546, // FUSE: sshfs, gcsfuse, s3fs, and also local ones
    0x0bd0_0bd0, // Lustre
    0x1983_0326, // BeeGFS
    0x4750_4653, // GPFS
    0x00c3_6400, // Ceph
    0x0102_1997, // 9p
    0x5346_414f, // OpenAFS
    0x6b41_4653, // AFS of the kernel
    0x7375_7245, // Coda
    0x2003_0528, // OrangeFS
    0x0116_1970, // GFS2
    0x7461_636f, // OCFS2
    0x786f_4256, // shared folders of VirtualBox
    0xbacb_acbc, // shared folders of VMware
];

/// What cannot be asked counts as local: the first file operation there says what is wrong.
#[cfg(target_os = "linux")]
pub(super) fn is_remote(dir: &Path) -> bool {
    // The type is signed on some architectures and 32 bits wide on others.
    rustix::fs::statfs(dir).is_ok_and(|found| REMOTE.contains(&(found.f_type as u64 & 0xffff_ffff)))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_remote(_dir: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_systems_of_this_machine_are_local() {
        assert!(!is_remote(Path::new("/proc")));
        assert!(!is_remote(Path::new("/no/such/place")));
    }
}
