//! The values that came since the last look, bounded.

/// Values kept between two looks. If more come, the newest stay.
const CAPACITY: usize = 256;

/// Collects values until their median is taken.
#[derive(Debug, Default)]
pub(super) struct Window {
    values: Vec<f64>,
    next: usize,
}

impl Window {
    /// Adds a finite value.
    pub(super) fn push(&mut self, value: f64) {
        if self.values.len() < CAPACITY {
            self.values.push(value);
        } else {
            self.values[self.next] = value;
            self.next = (self.next + 1) % CAPACITY;
        }
    }

    /// The median of what came since the last call, and forgets it; `None` if nothing came.
    pub(super) fn take_median(&mut self) -> Option<f64> {
        if self.values.is_empty() {
            return None;
        }
        let middle = (self.values.len() - 1) / 2;
        let (_, median, _) = self.values.select_nth_unstable_by(middle, f64::total_cmp);
        let median = *median;
        self.values.clear();
        self.next = 0;
        Some(median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_taken_once() {
        let mut window = Window::default();
        for value in [9.0, 1.0, 500.0] {
            window.push(value);
        }
        assert_eq!(window.take_median(), Some(9.0));
        assert_eq!(window.take_median(), None);
    }

    #[test]
    fn a_flood_keeps_the_newest_and_a_bounded_number() {
        let mut window = Window::default();
        for value in 0..10_000 {
            window.push(f64::from(value));
        }
        assert_eq!(window.values.len(), CAPACITY);
        assert!(window.take_median().unwrap() >= 9_744.0);
    }
}
