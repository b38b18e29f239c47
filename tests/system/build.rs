//! Lets what the program defines in place of the C library be found by those who look for it at run time.

fn main() {
    println!("cargo::rustc-link-arg-bins=-rdynamic");
    println!("cargo::rerun-if-changed=build.rs");
}
