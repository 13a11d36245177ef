//! The registry of regions and their leases.

use std::collections::BTreeMap;
use std::sync::Arc;

use hippocamp_backend::{Error, Result};
use parking_lot::Mutex;

use crate::lease::Lease;
use crate::object;
use crate::region::{Region, refused};

/// The largest number of regions. Each takes one of the about 65,000 mappings that Linux allows a process.
const MAX_REGIONS: usize = 16_384;

/// The most address space that all regions may take, in bytes. An object can claim any size, and the process needs
/// address space for everything else.
const MAX_MAPPED: usize = 1 << 44;

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
    regions: Arc<Regions>,
}

/// The state that leases share with the registry.
#[derive(Debug, Default)]
pub(crate) struct Regions(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    by_name: BTreeMap<Box<str>, Entry>,
    /// Address space that all regions take, in bytes.
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
        SharedMemory { allowed, regions: Arc::default() }
    }

    fn allow(&self) -> Result<()> {
        if self.allowed {
            return Ok(());
        }
        let text =
            "Client shared memory is disabled. Start the server with '--allow-client-shm=true' to enable.";
        Err(Error::unsupported(text))
    }

    /// Registers `byte_size` bytes of an object from `offset` on as region `name`.
    pub fn register(&self, name: &str, key: &str, offset: u64, byte_size: u64) -> Result<()> {
        self.allow()?;
        check_name(name, "system")?;
        object::refuse_reserved(name, key)?;
        self.regions.0.lock().refuse_taken(name)?;
        // Opened without the lock, so that requests do not wait for it.
        let region = Region::open(name, key, offset, byte_size)?;
        let state = &mut *self.regions.0.lock();
        state.refuse_taken(name)?;
        if state.by_name.len() >= MAX_REGIONS {
            return Err(refused(name, &format!("no more than {MAX_REGIONS} regions can be registered")));
        }
        let mapped = state.mapped.saturating_add(region.mapped());
        if mapped > MAX_MAPPED {
            let text =
                format!("all regions together would have {mapped} bytes, {MAX_MAPPED} at most are mapped");
            return Err(refused(name, &text));
        }
        state.mapped = mapped;
        let entry = Entry { region: Arc::new(region), leases: 0, unregistered: false };
        state.by_name.insert(name.into(), entry);
        Ok(())
    }

    /// Unregisters a region, or all if the name is empty. A region in use is removed when its last request is done. An
    /// unknown name is no error.
    pub fn unregister(&self, name: &str) -> Result<()> {
        self.allow()?;
        let mut removed = Vec::new();
        let state = &mut *self.regions.0.lock();
        let names: Vec<Box<str>> =
            if name.is_empty() { state.by_name.keys().cloned().collect() } else { vec![name.into()] };
        for name in names {
            if let Some(entry) = state.by_name.get_mut(&name) {
                entry.unregistered = true;
                removed.extend(state.remove_unused(&name));
            }
        }
        Ok(())
    }

    /// All regions by name, or only the named one. Includes unregistered regions that are still in use.
    pub fn status(&self, name: &str) -> Result<Vec<SystemRegion>> {
        let state = self.regions.0.lock();
        if name.is_empty() {
            return Ok(state.by_name.values().map(|entry| shown(&entry.region)).collect());
        }
        let entry = state.by_name.get(name).ok_or_else(|| {
            Error::not_found(format!("Unable to find system shared memory region: '{name}'"))
        })?;
        Ok(vec![shown(&entry.region)])
    }

    /// The number of leases of a region, which unregistering it would wait for.
    pub fn leases(&self, name: &str) -> usize {
        self.regions.0.lock().by_name.get(name).map_or(0, |entry| entry.leases)
    }

    /// Registers device memory; always an error, as no device can be opened yet.
    pub fn register_cuda(&self, name: &str) -> Result<()> {
        self.allow()?;
        check_name(name, "cuda")?;
        self.regions.0.lock().refuse_taken(name)?;
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
        Err(Error::not_found(if self.regions.0.lock().by_name.contains_key(name) {
            format!("The region named '{name}' is registered as system shared memory, not CUDA shared memory")
        } else {
            format!("Unable to find cuda shared memory region: '{name}'")
        }))
    }

    /// Leases `byte_size` bytes of a region; `offset` counts from the beginning of the region.
    pub fn lease(&self, name: &str, offset: u64, byte_size: u64) -> Result<Lease> {
        let state = &mut *self.regions.0.lock();
        let entry = state
            .by_name
            .get_mut(name)
            .filter(|entry| !entry.unregistered)
            .ok_or_else(|| Error::not_found(format!("Unable to find shared memory region: '{name}'")))?;
        let size = entry.region.byte_size as u64;
        if offset >= size {
            return Err(Error::invalid_arg(format!("Invalid offset for shared memory region: '{name}'")));
        }
        if offset.checked_add(byte_size).is_none_or(|end| end > size) {
            return Err(Error::invalid_arg(format!(
                "Invalid offset + byte size for shared memory region: '{name}'"
            )));
        }
        entry.region.check()?;
        entry.leases += 1;
        let regions = Arc::clone(&self.regions);
        Ok(Lease::new(Arc::clone(&entry.region), offset as usize, byte_size as usize, regions))
    }
}

impl Regions {
    /// Returns a lease of a region.
    pub(crate) fn release(&self, name: &str) {
        // The region may be unmapped here, without the lock.
        let _removed = {
            let state = &mut *self.0.lock();
            if let Some(entry) = state.by_name.get_mut(name) {
                entry.leases -= 1;
            }
            state.remove_unused(name)
        };
    }
}

impl State {
    fn refuse_taken(&self, name: &str) -> Result<()> {
        if self.by_name.contains_key(name) {
            return Err(Error::already_exists(format!("shared memory region '{name}' already in manager")));
        }
        Ok(())
    }

    /// Removes a region that is unregistered and has no leases.
    fn remove_unused(&mut self, name: &str) -> Option<Entry> {
        let entry = self.by_name.get(name).filter(|entry| entry.unregistered && entry.leases == 0)?;
        self.mapped -= entry.region.mapped();
        self.by_name.remove(name)
    }
}

fn check_name(name: &str, kind: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::invalid_arg(format!(
            "'region name' is necessary to register {kind} shared memory region"
        )));
    }
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
