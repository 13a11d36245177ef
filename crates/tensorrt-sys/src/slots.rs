//! The places of methods in the virtual tables.
//!
//! Facts of the three layouts, in which the compilers of Linux agree: methods are numbered in the order of
//! their declarations, and a virtual destructor takes two places. Only the methods that are used are listed.
//! `examples/layout.rs` turns the table into a C++ program, which a compiler checks against a package's own headers.

use crate::Layout;

/// The place of a method in the virtual table, by layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// What C++ calls the method.
    pub method: &'static str,
    places: [u16; 3],
}

/// In the table, for a method that a layout does not have.
const NONE: u16 = u16::MAX;

impl Slot {
    const fn new(method: &'static str, v10: u16, v11: u16, rtx: u16) -> Slot {
        Slot { method, places: [v10, v11, rtx] }
    }

    /// The place under that layout; `None` if it has no such method.
    pub const fn place(&self, layout: Layout) -> Option<usize> {
        match self.places[layout as usize] {
            NONE => None,
            place => Some(place as usize),
        }
    }
}

/// Declares the methods of the interfaces, and a list of all for checks.
macro_rules! interfaces {
    ($($(#[$doc:meta])* $module:ident $class:literal { $($name:ident $method:literal $v10:tt $v11:tt $rtx:tt;)+ })+) => {
        $(
            $(#[$doc])*
            pub mod $module {
                #![allow(missing_docs, reason = "the names say it")]
                use super::Slot;
                $(pub const $name: Slot = Slot::new($method, place!($v10), place!($v11), place!($rtx));)+
            }
        )+

        /// All interfaces: the name of the C++ class, and its methods.
        pub const ALL: &[(&str, &[Slot])] = &[$(($class, &[$($module::$name),+])),+];
    };
}

macro_rules! place {
    (-) => {
        super::NONE
    };
    ($place:literal) => {
        $place
    };
}

interfaces! {
    /// Bytes that the library owns.
    host_memory "VHostMemory" {
        DATA "data" 2 2 2;
        SIZE "size" 3 3 3;
    }
    /// What makes engines from plans.
    runtime "VRuntime" {
        DESERIALIZE "deserializeCudaEngine" 3 3 3;
        SET_ENGINE_HOST_CODE_ALLOWED "setEngineHostCodeAllowed" 21 20 20;
        GET_ENGINE_HOST_CODE_ALLOWED "getEngineHostCodeAllowed" 22 21 21;
        SET_MAX_THREADS "setMaxThreads" 12 11 11;
        GET_MAX_THREADS "getMaxThreads" 13 12 12;
        SET_TEMPORARY_DIRECTORY "setTemporaryDirectory" 14 13 13;
        GET_TEMPORARY_DIRECTORY "getTemporaryDirectory" 15 14 14;
    }
    /// A plan in the memory of a GPU.
    engine "VCudaEngine" {
        CREATE_EXECUTION_CONTEXT "createExecutionContext" 5 5 5;
        GET_NAME "getName" 9 7 7;
        GET_NB_OPTIMIZATION_PROFILES "getNbOptimizationProfiles" 10 8 8;
        HAS_IMPLICIT_BATCH_DIMENSION "hasImplicitBatchDimension" 15 - -;
        GET_TENSOR_SHAPE "getTensorShape" 19 15 15;
        GET_TENSOR_DATA_TYPE "getTensorDataType" 20 16 16;
        GET_TENSOR_LOCATION "getTensorLocation" 21 17 17;
        IS_SHAPE_INFERENCE_IO "isShapeInferenceIO" 22 18 18;
        GET_TENSOR_IO_MODE "getTensorIOMode" 23 19 19;
        GET_PROFILE_SHAPE "getProfileShape" 29 25 25;
        GET_NB_IO_TENSORS "getNbIOTensors" 30 26 26;
        GET_IO_TENSOR_NAME "getIOTensorName" 31 27 27;
        GET_TENSOR_FORMAT "getTensorFormatV2" 36 32 32;
        GET_TENSOR_FORMAT_DESC "getTensorFormatDescV2" 37 33 33;
        GET_DEVICE_MEMORY_SIZE "getDeviceMemorySizeV2" 52 44 44;
        GET_PROFILE_TENSOR_VALUES "getProfileTensorValues" 11 - -;
        GET_PROFILE_TENSOR_VALUES_V2 "getProfileTensorValuesV2" - 46 46;
    }
    /// What executes an engine, one run at a time.
    context "VExecutionContext" {
        SET_NAME "setName" 8 8 8;
        GET_OPTIMIZATION_PROFILE "getOptimizationProfile" 11 11 11;
        SET_OPTIMIZATION_PROFILE_ASYNC "setOptimizationProfileAsync" 17 16 16;
        SET_INPUT_SHAPE "setInputShape" 21 20 20;
        GET_TENSOR_SHAPE "getTensorShape" 22 21 21;
        SET_TENSOR_ADDRESS "setTensorAddress" 24 23 23;
        INFER_SHAPES "inferShapes" 28 27 27;
        SET_OUTPUT_ALLOCATOR "setOutputAllocator" 32 31 31;
        GET_MAX_OUTPUT_SIZE "getMaxOutputSize" 34 33 33;
        ENQUEUE_V3 "enqueueV3" 37 36 36;
    }
    /// What makes plans from networks.
    builder "VBuilder" {
        CREATE_BUILDER_CONFIG "createBuilderConfig" 7 5 5;
        CREATE_NETWORK_V2 "createNetworkV2" 8 6 6;
        CREATE_OPTIMIZATION_PROFILE "createOptimizationProfile" 9 7 7;
        BUILD_SERIALIZED_NETWORK "buildSerializedNetwork" 14 11 11;
    }
    /// How a plan is made.
    builder_config "VBuilderConfig" {
        SET_INT8_CALIBRATOR "setInt8Calibrator" 6 - -;
        SET_FLAG "setFlag" 11 9 9;
        CLEAR_FLAG "clearFlag" 10 8 8;
        ADD_OPTIMIZATION_PROFILE "addOptimizationProfile" 25 23 23;
        SET_CALIBRATION_PROFILE "setCalibrationProfile" 31 - -;
        CREATE_TIMING_CACHE "createTimingCache" 40 29 29;
        SET_TIMING_CACHE "setTimingCache" 41 30 30;
        GET_TIMING_CACHE "getTimingCache" 42 31 31;
        SET_MEMORY_POOL_LIMIT "setMemoryPoolLimit" 43 32 32;
        SET_BUILDER_OPTIMIZATION_LEVEL "setBuilderOptimizationLevel" 47 36 36;
        SET_HARDWARE_COMPATIBILITY_LEVEL "setHardwareCompatibilityLevel" 49 38 38;
        SET_PROGRESS_MONITOR "setProgressMonitor" 56 45 45;
        SET_NB_COMPUTE_CAPABILITIES "setNbComputeCapabilities" - - 55;
        SET_COMPUTE_CAPABILITY "setComputeCapability" - - 57;
    }
    /// The ranges of shapes that a plan is made for.
    profile "VOptimizationProfile" {
        SET_DIMENSIONS "setDimensions" 2 2 2;
        IS_VALID "isValid" 9 7 7;
        SET_SHAPE_VALUES "setShapeValues" 4 - -;
        SET_SHAPE_VALUES_V2 "setShapeValuesV2" - 8 8;
    }
    /// What a plan is made from.
    network "VNetworkDefinition" {
        GET_NB_INPUTS "getNbInputs" 14 14 14;
        GET_INPUT "getInput" 15 15 15;
        GET_NB_OUTPUTS "getNbOutputs" 16 16 16;
        GET_OUTPUT "getOutput" 17 17 17;
    }
    /// A tensor of a network.
    tensor "VTensor" {
        GET_NAME "getName" 3 3 3;
        GET_DIMENSIONS "getDimensions" 5 5 5;
        GET_TYPE "getType" 7 6 6;
        IS_SHAPE_TENSOR "isShapeTensor" 21 15 11;
    }
    /// The times that tactics took.
    timing_cache "VTimingCache" {
        SERIALIZE "serialize" 2 2 2;
    }
    /// What reads ONNX into a network. It has no implementation behind it: its methods are its own.
    parser "IParser" {
        PARSE "parse" 0 0 0;
        GET_NB_ERRORS "getNbErrors" 5 3 3;
        GET_ERROR "getError" 6 4 4;
    }
    /// A fault of an ONNX file. Its methods are its own, too.
    parser_error "IParserError" {
        CODE "code" 0 0 0;
        DESC "desc" 1 1 1;
        NODE "node" 5 5 5;
        NODE_NAME "nodeName" 6 6 6;
        NODE_OPERATOR "nodeOperator" 7 7 7;
    }
    /// What we implement: takes the library's messages.
    logger "ILogger" {
        LOG "log" 0 4 4;
    }
    /// What we implement: is told of an output's shape, and gives memory for it.
    output_allocator "IOutputAllocator" {
        REALLOCATE_OUTPUT_ASYNC "reallocateOutputAsync" 5 5 4;
        NOTIFY_SHAPE "notifyShape" 6 6 5;
    }
    /// What we implement: is told how far a build is.
    progress_monitor "IProgressMonitor" {
        PHASE_START "phaseStart" 4 4 4;
        STEP_COMPLETE "stepComplete" 5 5 5;
        PHASE_FINISH "phaseFinish" 6 6 6;
    }
}
