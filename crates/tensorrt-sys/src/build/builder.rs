//! What makes plans.

use std::ffi::c_void;
use std::sync::Arc;

use super::{Config, Network, Profile};
use crate::Layout;
use crate::object::{Owned, call, implementation};
use crate::slots::builder as slot;
use crate::slots::host_memory;

/// Makes plans from networks. What it makes keeps it alive.
#[derive(Clone, Debug)]
pub struct Builder(Arc<Owned>);

impl Builder {
    pub(crate) fn new(object: Owned) -> Builder {
        Builder(Arc::new(object))
    }

    /// An empty network, with the batch as a dimension of its tensors. Of strong types, TensorRT 10 computes in the types that the
    /// network says; without, in those that the config allows. Later versions know strong types only. `None` if it is refused.
    pub fn network(&self, is_strongly_typed: bool) -> Option<Network> {
        let object = &self.0;
        // In 10 the batch's dimension is bit 0 and strong types are bit 1; later ones have both in any case.
        let flags: u32 = match object.layout() {
            Layout::V10 => 1 | u32::from(is_strongly_typed) << 1,
            Layout::V11 | Layout::Rtx => 0,
        };
        // SAFETY: the method takes flags and returns a network that is the caller's, or null.
        let network = unsafe {
            let network = call!(object.implementation(), object.layout(), slot::CREATE_NETWORK_V2, (flags => u32) -> *mut c_void);
            Owned::new(network, object.library())
        };
        network.map(|network| Network::new(network, self.clone()))
    }

    /// A config that leaves all to the library. `None` if it is refused.
    pub fn config(&self) -> Option<Config> {
        let object = &self.0;
        // SAFETY: the method takes nothing and returns a config that is the caller's, or null.
        let config = unsafe {
            let config = call!(object.implementation(), object.layout(), slot::CREATE_BUILDER_CONFIG, () -> *mut c_void);
            Owned::new(config, object.library())
        };
        config.map(|config| Config::new(config, self.clone()))
    }

    /// A profile without shapes. `None` if it is refused.
    pub fn profile(&self) -> Option<Profile> {
        let object = &self.0;
        // SAFETY: the method takes nothing and returns a profile that is the builder's own, or null.
        let profile = unsafe {
            call!(object.implementation(), object.layout(), slot::CREATE_OPTIMIZATION_PROFILE, () -> *mut c_void)
        };
        Profile::new(profile, self.clone())
    }

    /// Makes the plan, which takes minutes for some. `None` if that fails, of which the library's log says why.
    pub fn build(&self, network: &Network, config: &Config) -> Option<HostMemory> {
        let object = &self.0;
        // SAFETY: the method takes a network and a config by reference and returns memory that is the caller's, or null.
        let plan = unsafe {
            let plan = call!(
                object.implementation(), object.layout(), slot::BUILD_SERIALIZED_NETWORK,
                (network.as_ptr() => *mut c_void, config.as_ptr() => *mut c_void) -> *mut c_void
            );
            Owned::new(plan, object.library())
        };
        plan.map(HostMemory)
    }

    pub(crate) fn object(&self) -> &Owned {
        &self.0
    }
}

/// Bytes that the library owns.
#[derive(Debug)]
pub struct HostMemory(pub(crate) Owned);

impl HostMemory {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: public classes have an implementation, whose methods take nothing and return the address and the length of
        // bytes that live as long as the object.
        unsafe {
            let (object, layout) = (implementation(self.0.as_ptr()), self.0.layout());
            let data = call!(object, layout, host_memory::DATA, () -> *const c_void);
            let size = call!(object, layout, host_memory::SIZE, () -> usize);
            if data.is_null() { &[] } else { std::slice::from_raw_parts(data.cast(), size) }
        }
    }
}
