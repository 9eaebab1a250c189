//! Labels beside the ends of lines, none over another.

/// Moves places apart, each as near as can be to where it was, so that they keep their order and have
/// `gap` between them, inside `low..=high` as far as there is room. The places are sorted.
pub(super) fn spread(places: &[i32], gap: i32, (low, high): (i32, i32)) -> Vec<i32> {
    // Neighbours that would overlap stand together as one block, around the middle of where they were.
    let mut blocks: Vec<Block> = Vec::new();
    for &place in places {
        let mut block = Block { sum: i64::from(place), count: 1 };
        while let Some(last) = blocks.last() {
            if last.begin() + last.count * i64::from(gap) <= block.begin() {
                break;
            }
            block = last.with(&block, gap);
            blocks.pop();
        }
        blocks.push(block);
    }
    let mut spread = Vec::new();
    for block in &blocks {
        spread.extend((0..block.count).map(|n| (block.begin() + n * i64::from(gap)) as i32));
    }
    let mut bound = high;
    for place in spread.iter_mut().rev() {
        *place = (*place).min(bound);
        bound = *place - gap;
    }
    let mut bound = low;
    for place in &mut spread {
        *place = (*place).max(bound);
        bound = *place + gap;
    }
    spread
}

/// Labels without room between them.
struct Block {
    /// Of the places where the first one would stand if each had its way.
    sum: i64,
    count: i64,
}

impl Block {
    fn begin(&self) -> i64 {
        self.sum / self.count
    }

    fn with(&self, next: &Block, gap: i32) -> Block {
        let shift = self.count * i64::from(gap) * next.count;
        Block { sum: self.sum + next.sum - shift, count: self.count + next.count }
    }
}
