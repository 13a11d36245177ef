//! The registry of regions and their leases.
//!
//! Requests lease and return parts of regions on all threads, so the regions are divided by their names, and each part
//! has a lock of its own.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use hippocamp_backend::{Error, Result};
use hippocamp_device::Devices;
use hippocamp_tensor::PlacedBufferMut;
use parking_lot::{Mutex, MutexGuard};

use crate::device_region::DeviceRegion;
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

/// A registered region in the memory of a device, as status requests report it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CudaRegion {
    pub name: String,
    pub device_id: u64,
    pub byte_size: u64,
}

/// The registry of shared memory regions. System and CUDA regions share one namespace.
#[derive(Debug)]
pub struct SharedMemory {
    allowed: bool,
    /// The devices whose memory can be registered.
    devices: Devices,
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
    region: Registered,
    leases: usize,
    /// Whether the region was unregistered while it was in use. It is removed with its last lease; until then, its name
    /// stays taken and new leases are refused.
    unregistered: bool,
}

/// A region of either kind.
#[derive(Clone, Debug)]
enum Registered {
    System(Arc<Region>),
    Cuda(Arc<DeviceRegion>),
}

impl Registered {
    fn name(&self) -> &str {
        match self {
            Registered::System(region) => &region.name,
            Registered::Cuda(region) => &region.name,
        }
    }

    fn byte_size(&self) -> usize {
        match self {
            Registered::System(region) => region.byte_size,
            Registered::Cuda(region) => region.byte_size,
        }
    }

    fn is_system(&self) -> bool {
        matches!(self, Registered::System(_))
    }

    /// Its size in the address space of this process, in bytes.
    fn mapped(&self) -> usize {
        match self {
            Registered::System(region) => region.mapped(),
            Registered::Cuda(_) => 0,
        }
    }
}

impl SharedMemory {
    /// Creates an empty registry, of regions of the system and of these devices. Registering fails unless `allowed`.
    pub fn new(allowed: bool, devices: Devices) -> SharedMemory {
        let totals = Arc::<Mutex<Totals>>::default();
        let part = |_| Arc::new(Regions { by_name: Mutex::default(), totals: Arc::clone(&totals) });
        SharedMemory { allowed, devices, parts: std::array::from_fn(part), totals }
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
    ///
    /// # Errors
    /// `Unsupported` unless clients may register regions; `AlreadyExists` for a name in use; `InvalidArg` for bytes that
    /// cannot be mapped.
    pub fn register(&self, name: &str, key: &str, offset: u64, byte_size: u64) -> Result<()> {
        self.allow()?;
        check_name(name)?;
        object::refuse_reserved(name, key)?;
        let part = self.part(name);
        refuse_taken(&part.by_name.lock(), name)?;
        // Opened without the lock, so that requests do not wait for it.
        let region = Region::open(name, key, offset, byte_size)?;
        self.insert(name, Registered::System(Arc::new(region)))
    }

    /// Registers the first `byte_size` bytes of the memory of device `device_id` that another process has exported by `handle`.
    ///
    /// # Errors
    /// As of [`SharedMemory::register`].
    pub fn register_cuda(&self, name: &str, handle: &[u8], device_id: u64, byte_size: u64) -> Result<()> {
        self.allow()?;
        check_name(name)?;
        refuse_taken(&self.part(name).by_name.lock(), name)?;
        // Opened without the lock: the first use of a device takes a while.
        let region = DeviceRegion::open(&self.devices, name, handle, device_id, byte_size)?;
        self.insert(name, Registered::Cuda(Arc::new(region)))
    }

    fn insert(&self, name: &str, region: Registered) -> Result<()> {
        let mut by_name = self.part(name).by_name.lock();
        refuse_taken(&by_name, name)?;
        self.totals.lock().add(&region)?;
        by_name.insert(name.into(), Entry { region, leases: 0, unregistered: false });
        Ok(())
    }

    /// Unregisters a region of the system, or all of them if the name is empty. A region in use is removed when its last request
    /// is done. An unknown name is no error, nor is that of a region of the other kind.
    pub fn unregister(&self, name: &str) -> Result<()> {
        self.unregister_if(name, Registered::is_system)
    }

    /// Unregisters a region of a device in the same way.
    pub fn unregister_cuda(&self, name: &str) -> Result<()> {
        self.unregister_if(name, |region| !region.is_system())
    }

    fn unregister_if(&self, name: &str, wanted: fn(&Registered) -> bool) -> Result<()> {
        self.allow()?;
        if name.is_empty() {
            self.parts.iter().for_each(|part| part.unregister_all(wanted));
        } else {
            self.part(name).unregister(name, wanted);
        }
        Ok(())
    }

    /// All regions of the system by name, or only the named one. Includes unregistered regions that are still in use.
    pub fn status(&self, name: &str) -> Result<Vec<SystemRegion>> {
        self.status_of(name, "system", |region| match region {
            Registered::System(region) => Some(SystemRegion {
                name: region.name.to_string(),
                key: region.key.to_string(),
                offset: region.offset,
                byte_size: region.byte_size as u64,
            }),
            Registered::Cuda(_) => None,
        })
    }

    /// The same of the regions of devices.
    pub fn cuda_status(&self, name: &str) -> Result<Vec<CudaRegion>> {
        self.status_of(name, "CUDA", |region| match region {
            Registered::Cuda(region) => Some(CudaRegion {
                name: region.name.to_string(),
                device_id: region.device.unsigned_abs().into(),
                byte_size: region.byte_size as u64,
            }),
            Registered::System(_) => None,
        })
    }

    /// The regions of one kind, as `shown` makes them; `None` is one of the other kind.
    fn status_of<T>(
        &self,
        name: &str,
        kind: &str,
        shown: impl Fn(&Registered) -> Option<T>,
    ) -> Result<Vec<T>> {
        if name.is_empty() {
            // All at one moment.
            let parts: Vec<MutexGuard<'_, _>> = self.parts.iter().map(|part| part.by_name.lock()).collect();
            let mut regions: Vec<&Registered> =
                parts.iter().flat_map(|part| part.values()).map(|entry| &entry.region).collect();
            regions.sort_unstable_by(|a, b| a.name().cmp(b.name()));
            return Ok(regions.into_iter().filter_map(shown).collect());
        }
        let by_name = self.part(name).by_name.lock();
        let Some(entry) = by_name.get(name) else {
            let kind = kind.to_lowercase();
            return Err(Error::not_found(format!("Unable to find {kind} shared memory region: '{name}'")));
        };
        let region = shown(&entry.region).ok_or_else(|| {
            let is = if entry.region.is_system() { "system" } else { "CUDA" };
            Error::not_found(format!(
                "The region named '{name}' is registered as {is} shared memory, not {kind} shared memory"
            ))
        })?;
        Ok(vec![region])
    }

    /// The number of leases of a region, which unregistering it would wait for.
    pub fn leases(&self, name: &str) -> usize {
        self.part(name).by_name.lock().get(name).map_or(0, |entry| entry.leases)
    }

    /// Leases `byte_size` bytes of a region; `offset` counts from the beginning of the region.
    ///
    /// # Errors
    /// `NotFound` for an unknown region, `InvalidArg` for bytes outside of it.
    pub fn lease(&self, name: &str, offset: u64, byte_size: u64) -> Result<Part> {
        let part = self.part(name);
        let mut by_name = part.by_name.lock();
        let entry = by_name
            .get_mut(name)
            .filter(|entry| !entry.unregistered)
            .ok_or_else(|| Error::not_found(format!("Unable to find shared memory region: '{name}'")))?;
        let size = entry.region.byte_size() as u64;
        if offset >= size {
            return Err(Error::invalid_arg(format!("Invalid offset for shared memory region: '{name}'")));
        }
        // A size of 0 is most often one that was forgotten.
        if byte_size == 0 || offset.checked_add(byte_size).is_none_or(|end| end > size) {
            return Err(Error::invalid_arg(format!(
                "Invalid offset + byte size for shared memory region: '{name}'"
            )));
        }
        if let Registered::System(region) = &entry.region {
            region.check()?;
        }
        entry.leases += 1;
        let region = entry.region.clone();
        drop(by_name);
        let hold = Hold { name: name.into(), regions: Arc::clone(part) };
        let (start, length) = (offset as usize, byte_size as usize);
        Ok(match region {
            Registered::System(region) => Part::System(Lease::new(region, start, length, hold)),
            Registered::Cuda(region) => {
                Part::Cuda(Arc::clone(&region.memory).part(start, length, Box::new(hold)))
            }
        })
    }
}

/// A part of a region that a request uses.
#[derive(Debug)]
pub enum Part {
    /// Of a region of the system.
    System(Lease),
    /// Of a region in the memory of a device: a buffer of the device's driver.
    Cuda(Box<dyn PlacedBufferMut>),
}

/// Keeps a region from being removed.
#[derive(Debug)]
pub(crate) struct Hold {
    name: Box<str>,
    regions: Arc<Regions>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.regions.release(&self.name);
    }
}

impl Regions {
    /// Returns a lease of a region.
    fn release(&self, name: &str) {
        let mut by_name = self.by_name.lock();
        let Some(entry) = by_name.get_mut(name) else { return };
        entry.leases -= 1;
        if entry.unregistered && entry.leases == 0 {
            self.remove(by_name, name);
        }
    }

    fn unregister(&self, name: &str, wanted: fn(&Registered) -> bool) {
        let mut by_name = self.by_name.lock();
        let Some(entry) = by_name.get_mut(name).filter(|entry| wanted(&entry.region)) else { return };
        entry.unregistered = true;
        if entry.leases == 0 {
            self.remove(by_name, name);
        }
    }

    fn unregister_all(&self, wanted: fn(&Registered) -> bool) {
        let mut by_name = self.by_name.lock();
        let mut removed = Vec::new();
        by_name.retain(|_, entry| {
            if !wanted(&entry.region) {
                return true;
            }
            entry.unregistered = true;
            if entry.leases == 0 {
                self.totals.lock().subtract(&entry.region);
                removed.push(entry.region.clone());
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
    fn add(&mut self, region: &Registered) -> Result<()> {
        let name = region.name();
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

    fn subtract(&mut self, region: &Registered) {
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
