//! Where the group's operator sends its records and timers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::api::Collector;
use crate::exchange::Outputs;
use crate::ids::SubtaskIndex;
use crate::record::Payload;
use crate::seam::TimeUs;

pub(super) struct GroupCollector<'a> {
    pub(super) outputs: &'a mut Outputs,
    pub(super) timers: &'a mut BinaryHeap<Reverse<(TimeUs, u16)>>,
    pub(super) now_us: TimeUs,
}

impl Collector for GroupCollector<'_> {
    #[inline]
    fn emit(&mut self, subtask: SubtaskIndex, payload: &Payload<'_>) {
        self.outputs.emit(subtask, payload, self.now_us);
    }

    fn register_timer(&mut self, subtask: SubtaskIndex, at_us: TimeUs) {
        self.timers.push(Reverse((at_us, subtask.0)));
    }
}
