//! The program that the power-loss tests cut off: `power_loss_load LOAD ARGUMENT... FOLDER MARKS`.

use std::{error::Error, path::Path};

use tenure_tests::power_loss::loads::files::{self, Fault};

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
        _ => return Err(format!("there is no load {arguments:?}").into()),
    }
    Ok(())
}
