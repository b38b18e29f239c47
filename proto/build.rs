//! Compiles the `.proto` files without `protoc`, and writes their descriptors for gRPC reflection.

use prost::Message;
use std::{env, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let api = [
        "tenure/v1/types.proto",
        "tenure/v1/discovery.proto",
        "tenure/v1/admin.proto",
        "tenure/v1/session.proto",
        "tenure/v1/operate.proto",
        "tenure/v1/copies.proto",
    ];
    let raft = ["tenure/raft/v1/raft.proto"];
    println!("cargo:rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let described = protox::compile(api, ["proto"])?;
    fs::write(out.join("tenure.v1.fds.bin"), described.encode_to_vec())?;
    tonic_prost_build::configure()
        .bytes(".")
        .btree_map(".")
        .compile_fds(described)?;
    tonic_prost_build::configure()
        .bytes(".")
        .btree_map(".")
        .compile_fds(protox::compile(raft, ["proto"])?)?;
    Ok(())
}
