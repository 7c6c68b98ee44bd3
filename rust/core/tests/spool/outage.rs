//! A disk whose power can be taken away.
//!
//! The files lie in a real directory, which is what the page cache is: everything that was written, through a mapping or not. Beside it
//! this keeps, for each file and directory, what would be on the platter: what was synced, and of the rest whatever 512-byte sectors
//! and names the system happened to write back on its own, in any order and each by itself. A crash gives that to a new directory.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Mutex;

use memmap2::MmapRaw;
use stepline_core::spool::{Disk, RealDisk};

const SECTOR: usize = 512;

/// The random choices of one story: Steele, Lea and Flood (2014).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

type Inode = u64;

struct Stored {
    /// Open, so that its number is not given to another file.
    live: File,
    platter: Vec<u8>,
}

#[derive(Default)]
struct Folder {
    platter: BTreeMap<OsString, Inode>,
    /// What happened to names since the last sync, in order.
    changes: Vec<(OsString, Option<Inode>)>,
}

#[derive(Default)]
struct Platter {
    files: HashMap<Inode, Stored>,
    folders: HashMap<Inode, Folder>,
    /// Calls that change something, so far; the power goes before this one.
    calls: u64,
    fails_at: Option<u64>,
    crash: Option<Tree>,
    chance: Option<Chance>,
}

/// What is found after the power came back.
#[derive(Clone, Debug)]
pub enum Tree {
    File(Vec<u8>),
    Folder(BTreeMap<OsString, Tree>),
}

pub struct Outage {
    root: Inode,
    platter: Mutex<Platter>,
}

impl fmt::Debug for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outage")
    }
}

fn inode(path: &Path) -> Inode {
    fs::metadata(path).unwrap().ino()
}

impl Outage {
    /// Of an empty directory that is on the platter.
    pub fn new(root: &Path, chance: Chance) -> Outage {
        let root = inode(root);
        let mut platter = Platter { chance: Some(chance), ..Platter::default() };
        platter.folders.insert(root, Folder::default());
        Outage { root, platter: Mutex::new(platter) }
    }

    /// The power goes in the middle of the work: before the call that is so many calls away.
    pub fn fail_after(&self, calls: u64) {
        let mut platter = self.platter.lock().unwrap();
        platter.fails_at = Some(platter.calls + calls);
    }

    pub fn has_failed(&self) -> bool {
        self.platter.lock().unwrap().crash.is_some()
    }

    /// The system writes back what it likes; `all_of` times out of 8 a sector or a name.
    pub fn write_back(&self, times: u64) {
        self.platter.lock().unwrap().write_back(times);
    }

    /// The power goes now, unless it went before. Makes what is left of the directory at `target`.
    pub fn crash(&self, target: &Path) {
        let mut platter = self.platter.lock().unwrap();
        platter.cut(self.root);
        let tree = platter.crash.clone().unwrap();
        make(&tree, target);
    }

    fn called(&self) -> std::sync::MutexGuard<'_, Platter> {
        let mut platter = self.platter.lock().unwrap();
        if platter.fails_at == Some(platter.calls) {
            platter.cut(self.root);
        }
        platter.calls += 1;
        platter
    }
}

impl Platter {
    fn cut(&mut self, root: Inode) {
        if self.crash.is_none() {
            let times = self.draw(9);
            self.write_back(times);
            self.crash = Some(self.tree(root));
        }
    }

    fn draw(&mut self, n: u64) -> u64 {
        self.chance.as_mut().unwrap().below(n)
    }

    fn write_back(&mut self, times: u64) {
        let Some(mut chance) = self.chance.take() else { return };
        for stored in sorted(&mut self.files) {
            let live = contents(&stored.live);
            for start in (0..live.len()).step_by(SECTOR) {
                let end = (start + SECTOR).min(live.len());
                let same = stored.platter.get(start..end) == Some(&live[start..end]);
                if !same && chance.below(8) < times {
                    let length = stored.platter.len().max(end);
                    stored.platter.resize(length, 0);
                    stored.platter[start..end].copy_from_slice(&live[start..end]);
                }
            }
        }
        for folder in sorted(&mut self.folders) {
            // Of each name any of its later states, whatever becomes of the others.
            let mut kept = Vec::new();
            let mut held = Vec::new();
            for (name, target) in std::mem::take(&mut folder.changes) {
                if !held.contains(&name) && chance.below(8) < times {
                    apply(&mut folder.platter, &name, target);
                } else {
                    held.push(name.clone());
                    kept.push((name, target));
                }
            }
            folder.changes = kept;
        }
        self.chance = Some(chance);
    }

    fn tree(&self, folder: Inode) -> Tree {
        let entries = self.folders[&folder].platter.iter().filter_map(|(name, target)| {
            let below = match self.files.get(target) {
                Some(stored) => Tree::File(stored.platter.clone()),
                None => self.folders.contains_key(target).then(|| self.tree(*target))?,
            };
            Some((name.clone(), below))
        });
        Tree::Folder(entries.collect())
    }

    fn rename(&mut self, path: &Path, target: Option<Inode>) {
        if let (Some(parent), Some(name)) = (path.parent(), path.file_name()) {
            if let Some(folder) = self.folders.get_mut(&inode(parent)) {
                folder.changes.push((name.to_owned(), target));
            }
        }
    }

    fn sync(&mut self, node: Inode) {
        if let Some(stored) = self.files.get_mut(&node) {
            stored.platter = contents(&stored.live);
        }
        if let Some(folder) = self.folders.get_mut(&node) {
            for (name, target) in std::mem::take(&mut folder.changes) {
                apply(&mut folder.platter, &name, target);
            }
        }
    }
}

fn sorted<T>(nodes: &mut HashMap<Inode, T>) -> Vec<&mut T> {
    let mut nodes: Vec<_> = nodes.iter_mut().collect();
    nodes.sort_by_key(|(inode, _)| **inode);
    nodes.into_iter().map(|(_, node)| node).collect()
}

fn apply(names: &mut BTreeMap<OsString, Inode>, name: &OsString, target: Option<Inode>) {
    match target {
        Some(target) => drop(names.insert(name.clone(), target)),
        None => drop(names.remove(name)),
    }
}

fn contents(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn make(tree: &Tree, path: &Path) {
    match tree {
        Tree::File(bytes) => fs::write(path, bytes).unwrap(),
        Tree::Folder(entries) => {
            fs::create_dir_all(path).unwrap();
            entries.iter().for_each(|(name, below)| make(below, &path.join(name)));
        }
    }
}

impl Disk for Outage {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut platter = self.called();
        RealDisk.create_dir(path)?;
        platter.folders.insert(inode(path), Folder::default());
        platter.rename(path, Some(inode(path)));
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        let mut platter = self.called();
        let file = RealDisk.create(path)?;
        let stored = Stored { live: file.try_clone()?, platter: Vec::new() };
        platter.files.insert(inode(path), stored);
        platter.rename(path, Some(inode(path)));
        Ok(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut platter = self.called();
        let node = inode(from);
        RealDisk.rename(from, to)?;
        platter.rename(from, None);
        platter.rename(to, Some(node));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut platter = self.called();
        RealDisk.remove(path)?;
        platter.rename(path, None);
        Ok(())
    }

    fn write_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        drop(self.called());
        RealDisk.write_at(file, bytes, at)
    }

    fn sync_file(&self, file: &File, _mapped: Option<(&MmapRaw, usize)>) -> io::Result<()> {
        let mut platter = self.called();
        platter.sync(file.metadata()?.ino());
        Ok(())
    }

    fn sync_path(&self, path: &Path) -> io::Result<()> {
        let mut platter = self.called();
        platter.sync(fs::metadata(path)?.ino());
        Ok(())
    }
}
