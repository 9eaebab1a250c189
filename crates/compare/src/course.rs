//! What an opened peer is put through.

use crate::workload::Workload;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// A window is filled, and asked.
    Window,
    /// Ids go through a full window, three times as many as it holds, and are forgotten.
    Sustained,
}

impl Course {
    /// What is timed, in the order in which the peer gets it.
    pub(crate) fn workloads(self) -> &'static [Workload] {
        match self {
            Course::Window => &[Workload::New, Workload::Duplicate, Workload::Half],
            Course::Sustained => &[Workload::Sustained],
        }
    }

    /// The one that a workload is part of.
    pub(crate) fn of(workload: Workload) -> Course {
        let has = |course: &Course| course.workloads().contains(&workload);
        [Course::Window, Course::Sustained].into_iter().find(has).expect("each is part of one")
    }
}
