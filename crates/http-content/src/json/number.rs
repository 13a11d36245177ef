//! Numbers, bare `NaN` and `Infinity` among them.

use super::cursor::Cursor;
use super::fault::{Fault, syntax};

/// A number as it was written: with a fraction, an exponent or more than 64 bits it is a float, otherwise an integer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Int { negative: bool, magnitude: u64 },
    Float(f64),
}

/// Powers of ten that a double holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// The largest integer below which a double holds every one.
const EXACT_INTEGERS: u64 = 1 << 53;

impl Number {
    pub fn as_u64(self) -> Option<u64> {
        match self {
            Number::Int { negative: false, magnitude } => Some(magnitude),
            Number::Int { magnitude: 0, .. } => Some(0),
            _ => None,
        }
    }

    pub fn as_i64(self) -> Option<i64> {
        match self {
            Number::Int { negative: false, magnitude } => i64::try_from(magnitude).ok(),
            Number::Int { negative: true, magnitude } => 0i64.checked_sub_unsigned(magnitude),
            Number::Float(_) => None,
        }
    }

    pub fn as_f64(self) -> f64 {
        match self {
            Number::Int { negative: false, magnitude } => magnitude as f64,
            Number::Int { negative: true, magnitude } => -(magnitude as f64),
            Number::Float(value) => value,
        }
    }
}

/// As many digits fit into 64 bits, whatever they are.
const SAFE_DIGITS: usize = 19;

/// The digits of a number as they are read.
#[derive(Default)]
struct Digits {
    value: u64,
    count: usize,
    /// The digits no longer fit into `value`.
    overflow: bool,
}

impl Digits {
    fn push(&mut self, digit: u64) {
        // The first ones cannot overflow, which spares nearly every number a check for each digit.
        if self.count < SAFE_DIGITS {
            self.value = self.value * 10 + digit;
        } else {
            match self.value.checked_mul(10).and_then(|value| value.checked_add(digit)) {
                Some(value) => self.value = value,
                None => self.overflow = true,
            }
        }
        self.count += 1;
    }
}

impl Cursor<'_> {
    /// Reads the number that begins here. Anything else is an invalid value.
    pub fn number(&mut self) -> Result<Number, Fault> {
        let start = self.at();
        let negative = self.eat(b'-');
        if matches!(self.peek(), Some(b'N' | b'I')) {
            let value = self.special()?;
            return Ok(Number::Float(if negative { -value } else { value }));
        }
        let mut digits = Digits::default();
        if !self.eat(b'0') && self.digits(&mut digits) == 0 {
            return Err(self.syntax(syntax::VALUE));
        }
        let mut scale = 0i64;
        let mut float = digits.overflow;
        if self.eat(b'.') {
            float = true;
            let count = self.digits(&mut digits);
            if count == 0 {
                return Err(self.syntax(syntax::FRACTION));
            }
            scale = -(count as i64);
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            float = true;
            scale = scale.saturating_add(self.exponent()?);
        }
        if !float {
            return Ok(Number::Int { negative, magnitude: digits.value });
        }
        if let Some(value) = exact(&digits, scale) {
            return Ok(Number::Float(if negative { -value } else { value }));
        }
        let text = std::str::from_utf8(self.since(start)).unwrap_or_default();
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Number::Float(value)),
            _ => Err(Fault::Syntax { text: syntax::TOO_BIG, at: start }),
        }
    }

    /// Reads digits, and returns how many there were.
    fn digits(&mut self, digits: &mut Digits) -> usize {
        let before = digits.count;
        for &byte in self.rest() {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            digits.push(u64::from(digit));
        }
        let count = digits.count - before;
        self.advance(count);
        count
    }

    /// Reads `e` and what follows. Huge ones are cut: they are infinite or zero either way.
    fn exponent(&mut self) -> Result<i64, Fault> {
        self.advance(1);
        let negative = self.eat(b'-');
        if !negative {
            self.eat(b'+');
        }
        let mut digits = Digits::default();
        if self.digits(&mut digits) == 0 {
            return Err(self.syntax(syntax::EXPONENT));
        }
        let value = if digits.overflow { 1 << 40 } else { digits.value.min(1 << 40) } as i64;
        Ok(if negative { -value } else { value })
    }

    /// `NaN`, `Inf` or `Infinity`.
    fn special(&mut self) -> Result<f64, Fault> {
        if self.peek() == Some(b'N') {
            self.literal(b"NaN")?;
            return Ok(f64::NAN);
        }
        self.literal(b"Inf")?;
        if self.peek() == Some(b'i') {
            self.literal(b"inity")?;
        }
        Ok(f64::INFINITY)
    }
}

/// The value where one multiplication or division of two exact doubles gives it, which is then correctly rounded.
fn exact(digits: &Digits, scale: i64) -> Option<f64> {
    if digits.overflow || digits.value > EXACT_INTEGERS {
        return None;
    }
    let power = *EXACT_POWERS.get(usize::try_from(scale.unsigned_abs()).ok()?)?;
    let value = digits.value as f64;
    Some(if scale < 0 { value / power } else { value * power })
}
