use std::mem::MaybeUninit;

use super::*;

fn in_two() -> TensorData {
    ["abc", "de"].into_iter().map(Bytes::from).collect()
}

/// Memory that is not this process's own, and whose device may refuse.
#[derive(Debug)]
struct Lent {
    bytes: &'static [u8],
    refuses: bool,
}

// SAFETY: the length is fixed, and all of the target is written.
#[allow(unsafe_code, reason = "implements the trait")]
unsafe impl PlacedBuffer for Lent {
    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn place(&self) -> Place {
        Place::Device(1)
    }

    fn copy_to_host(&self, start: usize, target: &mut [MaybeUninit<u8>]) -> Result<(), MemoryError> {
        if self.refuses {
            return Err(refused(target.len()));
        }
        target.write_copy_of_slice(&self.bytes[start..start + target.len()]);
        Ok(())
    }
}

fn refused(size: usize) -> MemoryError {
    MemoryError::Transfer { from: Place::Device(1), to: Place::Host, size, reason: "it is gone".into() }
}

fn lent(bytes: &'static [u8], refuses: bool) -> TensorData {
    TensorData::from(Arc::new(Lent { bytes, refuses }) as Arc<dyn PlacedBuffer>)
}

#[test]
fn costs_no_more_than_its_segments() {
    assert_eq!(size_of::<TensorData>(), 5 * size_of::<usize>());
}

#[test]
fn one_segment_is_never_copied() {
    let wire = Bytes::from_static(b"wire");
    let data = TensorData::from(wire.clone());
    assert_eq!(data.to_host().unwrap().as_ptr(), wire.as_ptr());
    assert_eq!(data.as_contiguous().map(<[u8]>::as_ptr), Some(wire.as_ptr()));
    assert_eq!(data.into_host().unwrap().as_contiguous().map(<[u8]>::as_ptr), Some(wire.as_ptr()));
}

#[test]
fn several_segments_are_joined_only_when_asked() {
    let data = in_two();
    assert_eq!((data.len(), data.as_contiguous(), data.place()), (5, None, Place::Host));
    assert_eq!(data.as_segments().unwrap().len(), 2);
    assert_eq!(data.clone().into_host().unwrap().as_slice().len(), 2);
    assert_eq!(data.to_host().unwrap(), "abcde");
}

#[test]
fn what_is_elsewhere_is_transferred_and_never_borrowed() {
    let data = lent(b"foreign", false);
    assert_eq!((data.len(), data.is_empty(), data.place()), (7, false, Place::Device(1)));
    assert!(data.as_contiguous().is_none() && data.as_segments().is_none() && data.as_placed().is_some());
    assert_eq!(data.to_host().unwrap(), "foreign");
    let mut buffer = AlignedBuffer::default();
    buffer.restart(9).unwrap();
    buffer.push(b"a ");
    data.copy_to(&mut buffer).unwrap();
    assert_eq!(buffer.as_slice(), b"a foreign");
    assert_eq!(data.into_host().unwrap().as_contiguous(), Some(&b"foreign"[..]));
}

#[test]
fn a_part_of_a_buffer_is_split_in_place() {
    let mut rest = lent(b"foreign", false);
    let first = rest.split_to(3);
    assert_eq!((first.to_host().unwrap(), rest.to_host().unwrap()), ("for".into(), "eign".into()));
    let Some(PlacedSlice::Placed { start: 3, len: 4, .. }) = rest.as_placed() else {
        panic!("{rest:?}");
    };
}

#[test]
fn a_failed_transfer_is_an_error_and_changes_nothing() {
    let data = lent(b"foreign", true);
    assert_eq!(data.to_host(), Err(refused(7)));
    assert_eq!(
        data.to_host().unwrap_err().to_string(),
        "7 bytes could not be copied from the memory of device 1 to host memory: it is gone"
    );
    let mut buffer = AlignedBuffer::default();
    buffer.restart(9).unwrap();
    buffer.push(b"a ");
    assert_eq!(data.copy_to(&mut buffer), Err(refused(7)));
    assert_eq!(buffer.as_slice(), b"a ");
}

#[test]
fn copies_every_segment() {
    let mut buffer = AlignedBuffer::default();
    buffer.restart(5).unwrap();
    in_two().copy_to(&mut buffer).unwrap();
    assert_eq!(buffer.as_slice(), b"abcde");
}

#[test]
fn host_bytes_are_compared_where_they_lie() {
    let pieces = |cuts: &[&'static str]| cuts.iter().map(|cut| Bytes::from(*cut)).collect::<TensorData>();
    let whole = pieces(&["abcde"]);
    for (other, equal) in [
        (pieces(&["abcde"]), true),
        (pieces(&["a", "bcd", "e"]), true),
        (pieces(&["ab", "cd"]), false),
        (pieces(&["abc", "dX"]), false),
        (pieces(&["abcde", "f"]), false),
        (pieces(&[]), false),
    ] {
        assert_eq!(whole.equals_in_host(&other), Some(equal), "{other:?}");
        assert_eq!(other.equals_in_host(&whole), Some(equal), "{other:?}");
    }
    assert_eq!(whole.equals_in_host(&lent(b"abcde", false)), None);
}

#[test]
fn strides_leave_the_ends_of_the_rows_out() {
    for data in [pieces_of_six(), lent(b"abXcdX", false)] {
        assert_eq!(data.strided(2, 3, 2).unwrap().to_host().unwrap(), "abcd");
    }
}

fn pieces_of_six() -> TensorData {
    ["abXc", "dX"].into_iter().map(Bytes::from).collect()
}
