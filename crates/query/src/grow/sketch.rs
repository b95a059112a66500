//! Sketches: answers that are about right, of a size that does not follow the number of rows.

use std::collections::BTreeMap;

use datafusion::common::{Result, ScalarValue};
use datafusion_functions_aggregate_common::tdigest::{Centroid, TDigest};

use super::{Growing, Input};
use crate::state::block::Reader;

/// About the value at a place in the order: a t-digest (Dunning and Ertl, arXiv:1902.04023),
/// as DataFusion has it.
#[derive(Debug)]
pub(crate) struct Percentile {
    digest: TDigest,
    /// Numbers of this tick. What a merge yields depends on what is merged at once; that is a
    /// tick, in a replay too.
    fresh: Vec<f64>,
    at: f64,
}

impl Percentile {
    pub(crate) fn new(at: f64, centroids: usize) -> Self {
        Self { digest: TDigest::new(centroids), fresh: Vec::new(), at }
    }

    pub(crate) fn decode(at: f64, centroids: usize, input: &mut Reader<'_>) -> Option<Self> {
        let mut number = || input.u64().map(f64::from_bits);
        let (sum, count, max, min) = (number()?, number()?, number()?, number()?);
        let mut all = Vec::new();
        for _ in 0..input.u32()? {
            let mut number = || input.u64().map(f64::from_bits);
            all.push(Centroid::new(number()?, number()?));
        }
        let digest = TDigest::try_from_parts(centroids, sum, count, max, min, all).ok()?;
        Some(Self { digest, fresh: Vec::new(), at })
    }

    /// How many centroids there may be by now. Counted by the rows: how many there really are
    /// depends on the values.
    fn centroids(&self) -> usize {
        (self.digest.count() as usize + self.fresh.len()).min(self.digest.max_size())
    }
}

impl Growing for Percentile {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.centroids() * size_of::<Centroid>()
    }

    fn more(&self, _input: &Input, _row: usize) -> usize {
        if self.centroids() < self.digest.max_size() { size_of::<Centroid>() } else { 0 }
    }

    fn add(&mut self, input: &Input, row: usize) {
        self.fresh.push(input.number(row));
    }

    fn settle(&mut self) {
        if !self.fresh.is_empty() {
            self.digest = self.digest.merge_unsorted_f64(std::mem::take(&mut self.fresh));
        }
    }

    fn value(&self) -> Result<ScalarValue> {
        let some = self.digest.count() > 0.0;
        Ok(ScalarValue::Float64(some.then(|| self.digest.estimate_quantile(self.at))))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let digest = &self.digest;
        let centroids = digest.centroids();
        for number in [digest.sum(), digest.count(), digest.max(), digest.min()] {
            out.extend_from_slice(&number.to_bits().to_le_bytes());
        }
        out.extend_from_slice(&(centroids.len() as u32).to_le_bytes());
        for number in centroids.iter().flat_map(|c| [c.mean(), c.weight()]) {
            out.extend_from_slice(&number.to_bits().to_le_bytes());
        }
    }
}

/// 2¹⁴ registers: a standard error of 0.81 %.
const REGISTERS: usize = 1 << 14;
/// The bits of a hash that do not choose a register.
const RANK_BITS: u32 = 64 - 14;
/// Up to so many registers in use are kept one by one.
const FEW: usize = 1024;
/// What a register that is kept by itself counts for: as much as all of them at [`FEW`].
const SINGLE: usize = REGISTERS / FEW;

/// About how many values differ: HyperLogLog with the estimator of Ertl, "New cardinality
/// estimation algorithms for HyperLogLog sketches", arXiv:1702.01284. DataFusion's own has
/// 16 KiB for every group from its first row on; this one begins small.
#[derive(Debug)]
pub(crate) struct Distincts {
    registers: Registers,
    /// How many registers hold each rank.
    ranks: [u16; RANK_BITS as usize + 2],
}

#[derive(Debug)]
enum Registers {
    Few(BTreeMap<u16, u8>),
    All(Box<[u8]>),
}

impl Default for Distincts {
    fn default() -> Self {
        let mut ranks = [0; RANK_BITS as usize + 2];
        ranks[0] = REGISTERS as u16;
        Self { registers: Registers::Few(BTreeMap::new()), ranks }
    }
}

impl Distincts {
    /// The register of a hash, and the rank that it asks for.
    fn place(hash: u64) -> (u16, u8) {
        let register = (hash % REGISTERS as u64) as u16;
        let rank = (hash >> 14 | 1 << RANK_BITS).trailing_zeros() + 1;
        (register, rank as u8)
    }

    fn rank(&self, register: u16) -> u8 {
        match &self.registers {
            Registers::Few(few) => few.get(&register).copied().unwrap_or(0),
            Registers::All(all) => all[usize::from(register)],
        }
    }

    fn raise(&mut self, register: u16, rank: u8) {
        let old = self.rank(register);
        if rank <= old {
            return;
        }
        self.ranks[usize::from(old)] -= 1;
        self.ranks[usize::from(rank)] += 1;
        match &mut self.registers {
            Registers::Few(few) => {
                few.insert(register, rank);
                if few.len() > FEW {
                    let mut all = vec![0; REGISTERS].into_boxed_slice();
                    for (register, rank) in few {
                        all[usize::from(*register)] = *rank;
                    }
                    self.registers = Registers::All(all);
                }
            }
            Registers::All(all) => all[usize::from(register)] = rank,
        }
    }

    pub(crate) fn decode(input: &mut Reader<'_>) -> Option<Self> {
        let mut all = Self::default();
        let mut take = |register: u16, rank: u8| {
            let fits = usize::from(register) < REGISTERS && u32::from(rank) <= RANK_BITS + 1;
            fits.then(|| all.raise(register, rank))
        };
        match input.u16()? {
            u16::MAX => {
                for (register, rank) in input.bytes(REGISTERS)?.iter().enumerate() {
                    take(register as u16, *rank)?;
                }
            }
            few => {
                for _ in 0..few {
                    take(input.u16()?, input.u8()?)?;
                }
            }
        }
        Some(all)
    }
}

impl Growing for Distincts {
    fn bytes(&self) -> usize {
        let registers = match &self.registers {
            Registers::Few(few) => few.len() * SINGLE,
            Registers::All(all) => all.len(),
        };
        size_of::<Self>() + registers
    }

    fn more(&self, input: &Input, row: usize) -> usize {
        match &self.registers {
            Registers::Few(few) if few.len() < FEW && self.rank(Self::place(input.bits(row)).0) == 0 => SINGLE,
            _ => 0,
        }
    }

    fn add(&mut self, input: &Input, row: usize) {
        let (register, rank) = Self::place(input.bits(row));
        self.raise(register, rank);
    }

    fn value(&self) -> Result<ScalarValue> {
        let registers = REGISTERS as f64;
        let last = self.ranks.len() - 1;
        let mut z = registers * tau(1.0 - f64::from(self.ranks[last]) / registers);
        for rank in self.ranks[1..last].iter().rev() {
            z = (z + f64::from(*rank)) * 0.5;
        }
        z += registers * sigma(f64::from(self.ranks[0]) / registers);
        let count = 0.5 / std::f64::consts::LN_2 * registers * registers / z;
        Ok(ScalarValue::UInt64(Some(count.round() as u64)))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match &self.registers {
            Registers::Few(few) => {
                out.extend_from_slice(&(few.len() as u16).to_le_bytes());
                for (register, rank) in few {
                    out.extend_from_slice(&register.to_le_bytes());
                    out.push(*rank);
                }
            }
            Registers::All(all) => {
                out.extend_from_slice(&u16::MAX.to_le_bytes());
                out.extend_from_slice(all);
            }
        }
    }
}

/// The σ of the paper: what registers without a value say.
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z <= before {
            return z;
        }
    }
}

/// The τ of the paper: what registers at their limit say.
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if z >= before {
            return z / 3.0;
        }
    }
}
