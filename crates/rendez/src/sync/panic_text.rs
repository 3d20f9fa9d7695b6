//! What is told of a panic to those who get it second-hand: a payload can't be cloned, its text can.

use crate::task::ForcedUnwind;
use std::any::Any;

pub(super) fn text_of(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        return (*text).to_string();
    }
    if let Some(text) = payload.downcast_ref::<String>() {
        return text.clone();
    }
    match payload.is::<ForcedUnwind>() {
        true => "its goroutine was ended by the shutdown of its runtime".to_string(),
        false => "it panicked with a payload that is no text".to_string(),
    }
}
