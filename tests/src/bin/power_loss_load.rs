//! The program that the power-loss tests cut off: `power_loss_load LOAD ARGUMENT... FOLDER MARKS`.

use std::{error::Error, path::Path};

use tenure_tests::power_loss::loads::{
    files::{self, Fault},
    log::{
        lying::Lie,
        plan::plan,
        run::run,
        store::{self, Store},
    },
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["files", fault, steps, folder, marks] => {
            let fault = Fault::ALL
                .into_iter()
                .find(|(word, _)| *word == fault)
                .ok_or("there is no such fault")?
                .1;
            files::run(Path::new(folder), Path::new(marks), fault, steps.parse()?)?;
        }
        ["log", lie, seed, length, folder, marks] => {
            let lie = Lie::ALL
                .into_iter()
                .find(|(word, _)| *word == lie)
                .ok_or("there is no such lie")?
                .1;
            let calls = plan(seed.parse()?, length.parse()?);
            store::runtime().block_on(run(Path::new(folder), Path::new(marks), lie, &calls))?;
        }
        ["log-open", folder, _] => drop(Store::open(Path::new(folder))?),
        _ => return Err(format!("there is no load {arguments:?}").into()),
    }
    Ok(())
}
