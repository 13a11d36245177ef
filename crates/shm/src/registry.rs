//! The registry of regions and their leases.
//!
//! Requests lease and return parts of regions on all threads, so the regions are divided by their names, and each part
//! has a lock of its own.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use hippocamp_backend::{Error, Result};
use parking_lot::{Mutex, MutexGuard};

use crate::lease::Lease;
use crate::object;
use crate::region::{Region, refused};

/// The largest number of regions. Each takes one of the about 65,000 mappings that Linux allows a process.
const MAX_REGIONS: usize = 16_384;

/// The most address space that all regions may take, in bytes. An object can claim any size, and the process needs
/// address space for everything else.
const MAX_MAPPED: usize = 1 << 44;

/// The number of parts into which the regions are divided.
const PARTS: usize = 16;

/// The longest name of a region, in bytes. The name is stored as long as the region.
const LONGEST_NAME: usize = 1024;

/// A registered region, as status requests report it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemRegion {
    pub name: String,
    pub key: String,
    pub offset: u64,
    pub byte_size: u64,
}

/// The registry of shared memory regions. System and CUDA regions share one namespace; CUDA regions cannot be
/// registered, as no device can be opened yet.
#[derive(Debug)]
pub struct SharedMemory {
    allowed: bool,
    /// By the hash of the name.
    parts: [Arc<Regions>; PARTS],
    totals: Arc<Mutex<Totals>>,
}

/// The regions of one part, which leases share with the registry. In cache lines of their own.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Regions {
    by_name: Mutex<BTreeMap<Box<str>, Entry>>,
    totals: Arc<Mutex<Totals>>,
}

/// What all regions take together. Locked last.
#[derive(Debug, Default)]
struct Totals {
    regions: usize,
    /// Address space, in bytes.
    mapped: usize,
}

#[derive(Debug)]
struct Entry {
    region: Arc<Region>,
    leases: usize,
    /// Whether the region was unregistered while it was in use. It is removed with its last lease; until then, its name
    /// stays taken and new leases are refused.
    unregistered: bool,
}

impl SharedMemory {
    /// Creates an empty registry. Registering fails unless `allowed`.
    pub fn new(allowed: bool) -> SharedMemory {
        let totals = Arc::<Mutex<Totals>>::default();
        let part = |_| Arc::new(Regions { by_name: Mutex::default(), totals: Arc::clone(&totals) });
        SharedMemory { allowed, parts: std::array::from_fn(part), totals }
    }

    fn part(&self, name: &str) -> &Arc<Regions> {
        // Names that meet in one part only wait for each other.
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        &self.parts[hasher.finish() as usize % PARTS]
    }

    fn allow(&self) -> Result<()> {
        if self.allowed {
            return Ok(());
        }
        let text =
            "Client shared memory is disabled. Start the server with '--allow-client-shm=true' to enable.";
        Err(Error::unsupported(text))
    }

    /// Fails if clients may not register regions, or if no name is given for one. A protocol whose name is a part of a path
    /// asks this first; `kind` is for the message.
    pub fn require_name(&self, name: &str, kind: &str) -> Result<()> {
        self.allow()?;
        if name.is_empty() {
            return Err(Error::invalid_arg(format!(
                "'region name' is necessary to register {kind} shared memory region"
            )));
        }
        Ok(())
    }

    /// Registers `byte_size` bytes of an object from `offset` on as region `name`. The name may be empty, as in Triton; such
    /// a region is unregistered with all others.
    pub fn register(&self, name: &str, key: &str, offset: u64, byte_size: u64) -> Result<()> {
        self.allow()?;
        check_name(name)?;
        object::refuse_reserved(name, key)?;
        let part = self.part(name);
        refuse_taken(&part.by_name.lock(), name)?;
        // Opened without the lock, so that requests do not wait for it.
        let region = Region::open(name, key, offset, byte_size)?;
        let mut by_name = part.by_name.lock();
        refuse_taken(&by_name, name)?;
        self.totals.lock().add(&region)?;
        let entry = Entry { region: Arc::new(region), leases: 0, unregistered: false };
        by_name.insert(name.into(), entry);
        Ok(())
    }

    /// Unregisters a region, or all if the name is empty. A region in use is removed when its last request is done. An
    /// unknown name is no error.
    pub fn unregister(&self, name: &str) -> Result<()> {
        self.allow()?;
        if name.is_empty() {
            self.parts.iter().for_each(|part| part.unregister_all());
        } else {
            self.part(name).unregister(name);
        }
        Ok(())
    }

    /// All regions by name, or only the named one. Includes unregistered regions that are still in use.
    pub fn status(&self, name: &str) -> Result<Vec<SystemRegion>> {
        if name.is_empty() {
            // All at one moment.
            let parts: Vec<MutexGuard<'_, _>> = self.parts.iter().map(|part| part.by_name.lock()).collect();
            let mut regions: Vec<_> =
                parts.iter().flat_map(|part| part.values()).map(|entry| shown(&entry.region)).collect();
            drop(parts);
            regions.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            return Ok(regions);
        }
        let by_name = self.part(name).by_name.lock();
        let entry = by_name.get(name).ok_or_else(|| {
            Error::not_found(format!("Unable to find system shared memory region: '{name}'"))
        })?;
        Ok(vec![shown(&entry.region)])
    }

    /// The number of leases of a region, which unregistering it would wait for.
    pub fn leases(&self, name: &str) -> usize {
        self.part(name).by_name.lock().get(name).map_or(0, |entry| entry.leases)
    }

    /// Registers device memory; always an error, as no device can be opened yet.
    pub fn register_cuda(&self, name: &str) -> Result<()> {
        self.allow()?;
        check_name(name)?;
        refuse_taken(&self.part(name).by_name.lock(), name)?;
        Err(Error::invalid_arg("failed to register shared memory region: invalid args"))
    }

    /// Unregisters device memory. Does nothing, as there are no such regions and an unknown name is no error.
    pub fn unregister_cuda(&self) -> Result<()> {
        self.allow()
    }

    /// The status of device regions: there are none, so asking for one by name is an error.
    pub fn cuda_status(&self, name: &str) -> Result<()> {
        if name.is_empty() {
            return Ok(());
        }
        Err(Error::not_found(if self.part(name).by_name.lock().contains_key(name) {
            format!("The region named '{name}' is registered as system shared memory, not CUDA shared memory")
        } else {
            format!("Unable to find cuda shared memory region: '{name}'")
        }))
    }

    /// Leases `byte_size` bytes of a region; `offset` counts from the beginning of the region.
    pub fn lease(&self, name: &str, offset: u64, byte_size: u64) -> Result<Lease> {
        let part = self.part(name);
        let mut by_name = part.by_name.lock();
        let entry = by_name
            .get_mut(name)
            .filter(|entry| !entry.unregistered)
            .ok_or_else(|| Error::not_found(format!("Unable to find shared memory region: '{name}'")))?;
        let size = entry.region.byte_size as u64;
        if offset >= size {
            return Err(Error::invalid_arg(format!("Invalid offset for shared memory region: '{name}'")));
        }
        // A size of 0 is most often one that was forgotten.
        if byte_size == 0 || offset.checked_add(byte_size).is_none_or(|end| end > size) {
            return Err(Error::invalid_arg(format!(
                "Invalid offset + byte size for shared memory region: '{name}'"
            )));
        }
        entry.region.check()?;
        entry.leases += 1;
        let region = Arc::clone(&entry.region);
        drop(by_name);
        Ok(Lease::new(region, offset as usize, byte_size as usize, Arc::clone(part)))
    }
}

impl Regions {
    /// Returns a lease of a region.
    pub(crate) fn release(&self, name: &str) {
        let mut by_name = self.by_name.lock();
        let Some(entry) = by_name.get_mut(name) else { return };
        entry.leases -= 1;
        if entry.unregistered && entry.leases == 0 {
            self.remove(by_name, name);
        }
    }

    fn unregister(&self, name: &str) {
        let mut by_name = self.by_name.lock();
        let Some(entry) = by_name.get_mut(name) else { return };
        entry.unregistered = true;
        if entry.leases == 0 {
            self.remove(by_name, name);
        }
    }

    fn unregister_all(&self) {
        let mut by_name = self.by_name.lock();
        let mut removed = Vec::new();
        by_name.retain(|_, entry| {
            entry.unregistered = true;
            if entry.leases == 0 {
                self.totals.lock().subtract(&entry.region);
                removed.push(Arc::clone(&entry.region));
            }
            entry.leases > 0
        });
        drop(by_name);
        // The regions are unmapped without the lock.
        drop(removed);
    }

    /// Removes a region that is unregistered and has no leases, and unmaps it without the lock.
    fn remove(&self, mut by_name: MutexGuard<'_, BTreeMap<Box<str>, Entry>>, name: &str) {
        let removed = by_name.remove(name);
        if let Some(entry) = &removed {
            self.totals.lock().subtract(&entry.region);
        }
        drop(by_name);
        drop(removed);
    }
}

impl Totals {
    /// Adds a region, unless there is no room for it.
    fn add(&mut self, region: &Region) -> Result<()> {
        let name = &region.name;
        if self.regions >= MAX_REGIONS {
            return Err(refused(name, &format!("no more than {MAX_REGIONS} regions can be registered")));
        }
        let mapped = self.mapped.saturating_add(region.mapped());
        if mapped > MAX_MAPPED {
            let text =
                format!("all regions together would have {mapped} bytes, {MAX_MAPPED} at most are mapped");
            return Err(refused(name, &text));
        }
        *self = Totals { regions: self.regions + 1, mapped };
        Ok(())
    }

    fn subtract(&mut self, region: &Region) {
        self.regions -= 1;
        self.mapped -= region.mapped();
    }
}

fn refuse_taken(by_name: &BTreeMap<Box<str>, Entry>, name: &str) -> Result<()> {
    if by_name.contains_key(name) {
        return Err(Error::already_exists(format!("shared memory region '{name}' already in manager")));
    }
    Ok(())
}

fn check_name(name: &str) -> Result<()> {
    if name.len() > LONGEST_NAME {
        let got = name.len();
        return Err(Error::invalid_arg(format!(
            "the name of a shared memory region was expected to have {LONGEST_NAME} bytes at most, got {got}"
        )));
    }
    Ok(())
}

fn shown(region: &Region) -> SystemRegion {
    SystemRegion {
        name: region.name.to_string(),
        key: region.key.to_string(),
        offset: region.offset,
        byte_size: region.byte_size as u64,
    }
}
