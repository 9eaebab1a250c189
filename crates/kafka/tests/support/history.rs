//! The output topic of the cluster, read as a history.

use std::cell::RefCell;
use std::rc::Rc;

use firstseen::Timestamp;
use firstseen_kafka::handover::History;
use firstseen_kafka::testing::{Cluster, Isolation};
use firstseen_kafka::{BoxError, Done, TopicPartition};

use super::ways::OUT;

/// Since when it was asked.
pub type Asked = Rc<RefCell<Vec<Timestamp>>>;

/// See the module documentation.
pub struct Outputs {
    cluster: Cluster,
    asked: Asked,
}

impl Outputs {
    pub fn of(cluster: &Cluster) -> (Outputs, Asked) {
        let asked = Asked::default();
        (Outputs { cluster: cluster.clone(), asked: Rc::clone(&asked) }, asked)
    }
}

impl History for Outputs {
    fn read(
        &mut self,
        partition: &TopicPartition,
        since: Timestamp,
        add: &mut dyn FnMut(&[Done]) -> Result<(), BoxError>,
    ) -> Result<Timestamp, BoxError> {
        self.asked.borrow_mut().push(since);
        let records = self.cluster.read(OUT, Isolation::ReadCommitted);
        let records = records.iter().filter(|(_, record)| record.time >= since);
        let done = records.filter_map(|(_, record)| record.as_message(|m| Done::read(m.headers)));
        let mut done: Vec<Done> =
            done.filter(|done| done.source == partition.to_string()).collect();
        done.sort_by_key(|done| done.position);
        done.chunks(3).try_for_each(add)?;
        // A partition that has lost its beginning knows everything since the oldest record that is left.
        let trimmed = (0..2).filter(|out| self.cluster.bounds(OUT, *out).first > 0);
        let left = self.cluster.read(OUT, Isolation::ReadCommitted);
        let oldest = trimmed.map(|out| {
            let times = left.iter().filter(|(of, _)| *of == out).map(|(_, record)| record.time);
            times.min().unwrap_or(Timestamp::MAX)
        });
        Ok(oldest.fold(since, Timestamp::max))
    }
}
