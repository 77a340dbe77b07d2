//! Publish and subscribe inside the process.
//!
//! A [`Bus`] carries [`Event`]s under dotted topics to bounded [`Subscription`]s. Publishing never blocks: a
//! subscription that is full loses events by its [`Policy`], and its stream says which with [`Delivery::Gap`].
//!
//! # Example
//! ```
//! use haltline::event::{Bus, Delivery, SubscribeOptions};
//! use serde_json::json;
//!
//! let bus = Bus::new();
//! let tasks = bus.subscribe("task.*", SubscribeOptions::default())?;
//! bus.publish("task.started", Some("7".into()), json!({ "profile": "attack" }));
//!
//! let Some(Delivery::Event(event)) = tasks.recv() else { unreachable!() };
//! assert_eq!(event.topic(), "task.started");
//! assert_eq!(event.data()["profile"], "attack");
//! # Ok::<(), haltline::Error>(())
//! ```

mod bus;
mod cloud;
mod pattern;
mod queue;
mod subscription;
pub mod topic;

pub use bus::Bus;
pub use cloud::Event;
pub use queue::{Delivery, Policy};
pub use subscription::{Iter, SubscribeOptions, Subscription};
