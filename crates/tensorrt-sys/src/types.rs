//! The enumerations of the interfaces.

/// Defines an enumeration with the numbers that it has in C++. A number that is not known is `None`, never undefined behaviour:
/// a library may be newer than this list.
macro_rules! enumeration {
    ($(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $variant:ident = $number:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$item])* $variant,)+ }

        impl $name {
            /// What the number stands for, if it is known.
            pub fn of_number(number: i32) -> Option<$name> {
                match number {
                    $($number => Some($name::$variant),)+
                    _ => None,
                }
            }

            /// The number in C++.
            pub fn number(self) -> i32 {
                match self {
                    $($name::$variant => $number,)+
                }
            }
        }
    };
}

enumeration! {
    /// The type of a tensor's elements.
    #[allow(missing_docs, reason = "the names say it")]
    DataType {
        Float = 0,
        Half = 1,
        Int8 = 2,
        Int32 = 3,
        Bool = 4,
        UInt8 = 5,
        Fp8 = 6,
        BFloat16 = 7,
        Int64 = 8,
        Int4 = 9,
        Fp4 = 10,
        E8M0 = 11,
    }
}

enumeration! {
    /// The order of a tensor's elements in memory.
    #[allow(missing_docs, reason = "the names say it")]
    TensorFormat {
        Linear = 0,
        Chw2 = 1,
        Hwc8 = 2,
        Chw4 = 3,
        Chw16 = 4,
        Chw32 = 5,
        Dhwc8 = 6,
        Cdhw32 = 7,
        Hwc = 8,
        DlaLinear = 9,
        DlaHwc4 = 10,
        Hwc16 = 11,
        Dhwc = 12,
    }
}

enumeration! {
    /// Whether a tensor is an input or an output of an engine.
    #[allow(missing_docs, reason = "the names say it")]
    IoMode {
        None = 0,
        Input = 1,
        Output = 2,
    }
}

enumeration! {
    /// Where a tensor's address has to point to.
    #[allow(missing_docs, reason = "the names say it")]
    TensorLocation {
        Device = 0,
        Host = 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_not_known_are_none() {
        assert_eq!(DataType::of_number(7), Some(DataType::BFloat16));
        assert_eq!(DataType::of_number(99), None);
        assert_eq!(TensorFormat::Chw32.number(), 5);
    }
}
