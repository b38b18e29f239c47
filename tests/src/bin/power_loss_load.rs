//! The program that the power-loss tests cut off: `power_loss_load LOAD ARGUMENT... FOLDER MARKS`.

use std::{error::Error, path::Path};

use tenure_storage::image::{Probe, probe};
use tenure_tests::power_loss::loads::{
    files::{self, Fault},
    log::{
        lying::Lie,
        plan::plan,
        run::run,
        store::{Store, runtime},
    },
    store::{self, plan::Weight},
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
            runtime().block_on(run(Path::new(folder), Path::new(marks), lie, &calls))?;
        }
        ["log-open", folder, _] => drop(Store::open(Path::new(folder))?),
        ["store", weight, seed, length, folder, marks] => {
            let weight = Weight::ALL
                .into_iter()
                .find(|(word, _)| *word == weight)
                .ok_or("there is no such weight")?
                .1;
            let plan = store::plan::plan(seed.parse()?, length.parse()?, weight);
            let run = store::run::run(Path::new(folder), Path::new(marks), &plan.calls);
            runtime().block_on(run)?;
        }
        ["store-open", folder, _] => drop(store::run::open(Path::new(folder), Probe::None)?),
        ["probe", folder] => probe(Path::new(folder))?,
        _ => return Err(format!("there is no load {arguments:?}").into()),
    }
    Ok(())
}
