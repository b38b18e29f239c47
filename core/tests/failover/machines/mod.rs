//! Each half of the protocol by itself, message by message.

mod adoption;
mod controller;
mod copies;
mod grants;
mod holders;
mod leader;
mod lives;
mod member;
mod members;
mod pledges;
mod processes;
mod switching;
