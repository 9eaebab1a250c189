//! A store on a disk in memory, under a script.
