//! Generates the wire code of the bench's own protocols: the part of etcd's API that it calls, and the echo.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    tonic_prost_build::configure()
        .build_server(false)
        .bytes(".")
        .compile_fds(protox::compile(["etcd.proto"], ["proto"])?)?;
    tonic_prost_build::configure()
        .bytes(".")
        .compile_fds(protox::compile(["echo.proto"], ["proto"])?)?;
    Ok(())
}
