//! The order in which a walk reads records: that of the files, roughly.
//!
//! A radix sort from the lowest digit up, and only as far as neighbours are in the same few pages: two passes for a file.
//! Comparing was a fifth of a scan (docs/experiments/).

use crate::disk::process;

/// The bits of a place that one pass of [`sort_last_first`] looks at. With more, there are more places to write to than the
/// processor has translations at hand for.
const DIGIT: u32 = 8;
/// How many of the lowest bits of a place are not sorted by: places that agree in the others are in the same 4 KiB.
const NEIGHBOURS: u32 = 17;

/// The passes need as much memory as there are places. Where that is more than this part of all memory, places are compared.
const SPARE_SHARE: u64 = 32;

/// Sorts places, the last first; many of them only as far as neighbours.
pub(super) fn sort_last_first(places: &mut Vec<u64>) {
    let mut spare = Vec::new();
    let (least, most) = places.iter().fold((u64::MAX, 0), |(least, most), &n| (least.min(n), most.max(n)));
    let spare_fits =
        size_of_val(places.as_slice()) as u64 <= process::memory_share(SPARE_SHARE, 0..=u64::MAX);
    if places.len() < 4 << DIGIT || !spare_fits || spare.try_reserve_exact(places.len()).is_err() {
        return places.sort_unstable_by_key(|place| std::cmp::Reverse(*place));
    }
    spare.resize(places.len(), 0);
    let bits = u64::BITS - (most - least).leading_zeros();
    let passes = bits.saturating_sub(NEIGHBOURS).div_ceil(DIGIT).max(2);
    let shift = bits.saturating_sub(passes * DIGIT);
    for pass in 0..passes {
        let digit = |place: u64| ((most - place) >> shift >> (pass * DIGIT)) as usize % (1 << DIGIT);
        let mut counts = [0u32; 1 << DIGIT];
        places.iter().for_each(|place| counts[digit(*place)] += 1);
        distribute(places, &mut spare, &mut counts, digit);
        std::mem::swap(places, &mut spare);
    }
}

/// Puts places in the order of a digit, of which it is known how often each occurs; those with the same stay in order.
fn distribute(from: &[u64], to: &mut [u64], counts: &mut [u32], digit: impl Fn(u64) -> usize) {
    let mut begin = 0;
    for count in counts.iter_mut() {
        begin += std::mem::replace(count, begin);
    }
    for place in from {
        let next = &mut counts[digit(*place)];
        to[*next as usize] = *place;
        *next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_sorted_last_first_and_none_is_lost() {
        let mut random = crate::disk::sim::Random::new(5);
        for count in [0, 1, 100, 5_000, 300_000] {
            for bits in [1, 20, 33, 40, 56] {
                let mut places: Vec<u64> = (0..count).map(|_| random.number() >> (64 - bits)).collect();
                let mut wanted = places.clone();
                wanted.sort_unstable_by_key(|place| std::cmp::Reverse(*place));
                sort_last_first(&mut places);
                let roughly = if count < 2_000 { 0 } else { NEIGHBOURS };
                assert!(places.is_sorted_by_key(|place| (wanted[0] - place) >> roughly), "{count} {bits}");
                places.sort_unstable_by_key(|place| std::cmp::Reverse(*place));
                assert!(places == wanted, "{count} {bits}");
            }
        }
    }
}
