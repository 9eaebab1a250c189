//! A store on a disk in memory, under a script, with a plain model beside it.
//!
//! | module | what it is |
//! |---|---|
//! | `setup` | how the store is opened |
//! | `script` | what is done to it: standard scripts, and random ones |
//! | `model` | what a store holds, as a plain value |
//! | `moment` | at which operation of the disk a fault comes |
//! | `look` | everything that a store can be asked, held against a model |
//! | `run` | a script that goes on as far as the disk lets it |
//! | `left` | what a fault left, opened and held against what was promised |

mod left;
mod look;
mod model;
mod moment;
mod run;
mod script;
mod setup;

pub(crate) use left::Left;
pub(crate) use look::look;
pub(crate) use model::Model;
pub(crate) use moment::{ALL, Moment, NAMES};
pub(crate) use run::{Fate, Run};
pub(crate) use script::{STANDARD, Step, random_script};
pub(crate) use setup::{DIR, Setup};
