//! What is shared without a lock stays with one goroutine: it can't go through a pipeline.
use rendez::{Context, pattern::Pipeline};
use std::{cell::Cell, rc::Rc};

fn main() {
    let count = Rc::new(Cell::new(0));
    let theirs = count.clone();
    let run = Pipeline::from(0..3).map(1, move |n| theirs.set(n)).run(&Context::background());
    run.collect().unwrap();
}
