//! Which regions there are, and who uses them.

use std::collections::BTreeMap;
use std::sync::Arc;

use hippocamp_backend::{Error, Result};
use parking_lot::Mutex;

use crate::lease::Lease;
use crate::object;
use crate::region::{Region, refused};

/// How many regions there may be. Each takes one of the mappings that a process may have, of which there are some 65,000.
const MAX_REGIONS: usize = 16_384;

/// How much of the address space they may take together. An object may claim to be as large as it likes; there has to
/// be room for everything else.
const MAX_MAPPED: usize = 1 << 44;

/// How long a region's name may be. It is kept as long as the region.
const LONGEST_NAME: usize = 1024;

/// A registered region, as a status shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemRegion {
    pub name: String,
    pub key: String,
    pub offset: u64,
    pub byte_size: u64,
}

/// The regions that clients have registered. System and CUDA regions share one space of names; of the latter there are
/// none, as no device can be opened yet.
#[derive(Debug)]
pub struct SharedMemory {
    allowed: bool,
    regions: Arc<Regions>,
}

/// What leases need of it.
#[derive(Debug, Default)]
pub(crate) struct Regions(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    by_name: BTreeMap<Box<str>, Entry>,
    /// Bytes of the address space.
    mapped: usize,
}

#[derive(Debug)]
struct Entry {
    region: Arc<Region>,
    leases: usize,
    /// It goes with its last lease. Its name stays taken until then; new leases are refused.
    unregistered: bool,
}

impl SharedMemory {
    /// Without any region. Unless `allowed`, clients cannot register one.
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

    /// Maps `byte_size` bytes of an object from `offset` on, and calls that region `name`.
    pub fn register(&self, name: &str, key: &str, offset: u64, byte_size: u64) -> Result<()> {
        self.allow()?;
        check_name(name, "system")?;
        object::refuse_reserved(name, key)?;
        self.regions.0.lock().refuse_taken(name)?;
        // Opened without the lock: requests shall not wait for it.
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

    /// Lets go of a region, or of all if the name is empty: at once, or when the last request that uses it is done. One
    /// that is not there is no error.
    pub fn unregister(&self, name: &str) -> Result<()> {
        self.allow()?;
        let mut gone = Vec::new();
        let state = &mut *self.regions.0.lock();
        let names: Vec<Box<str>> =
            if name.is_empty() { state.by_name.keys().cloned().collect() } else { vec![name.into()] };
        for name in names {
            if let Some(entry) = state.by_name.get_mut(&name) {
                entry.unregistered = true;
                gone.extend(state.remove_unused(&name));
            }
        }
        Ok(())
    }

    /// All regions by name, or the one that is named. One that waits for its last request is still among them.
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

    /// How many leases of a region are out: what unregistering it would wait for.
    pub fn leases(&self, name: &str) -> usize {
        self.regions.0.lock().by_name.get(name).map_or(0, |entry| entry.leases)
    }

    /// Registering memory of a device: there is no device.
    pub fn register_cuda(&self, name: &str) -> Result<()> {
        self.allow()?;
        check_name(name, "cuda")?;
        self.regions.0.lock().refuse_taken(name)?;
        Err(Error::invalid_arg("failed to register shared memory region: invalid args"))
    }

    /// Unregistering memory of a device: there is none, and one that is not there is no error.
    pub fn unregister_cuda(&self) -> Result<()> {
        self.allow()
    }

    /// There is none to show. An error for one that is named.
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

    /// `byte_size` bytes of a region from `offset` on, which counts from where the region begins.
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
    /// Takes back a lease.
    pub(crate) fn release(&self, name: &str) {
        // Unmapped, if it is, without the lock.
        let _gone = {
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

    /// Removes a region that is unregistered and that nobody uses.
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
