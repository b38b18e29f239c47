//! `settings`: what is set for the cluster as a whole.

use super::Context;
use crate::{
    exit::{Exit, Failure},
    output::{Out, shape},
};
use clap::{Args, Subcommand};
use tenure_core::{Command, RecordKind, Revision, Settings};

/// What to do with the settings.
#[derive(Debug, Subcommand)]
pub enum SettingsCommand {
    /// Show the settings
    #[command(after_help = "Example:\n  tenure settings show")]
    Show,
    /// Change some of the settings
    #[command(after_help = "Example:\n  tenure settings set --history-max 5000")]
    Set(SetArgs),
}

/// Settings to change.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// How many changes the history keeps
    #[arg(long, value_name = "N", required_unless_present = "clients_max")]
    history_max: Option<u32>,
    /// How many clients' registrations are kept
    #[arg(long, value_name = "N")]
    clients_max: Option<u32>,
    /// Only if the settings are as of this revision (their `modified`); read when left out
    #[arg(long, value_name = "REVISION")]
    expected: Option<u64>,
}

pub(super) async fn run(command: SettingsCommand, context: &Context) -> Result<Exit, Failure> {
    match command {
        SettingsCommand::Show => show(context).await,
        SettingsCommand::Set(args) => set(args, context).await,
    }
}

async fn show(context: &Context) -> Result<Exit, Failure> {
    let state = context
        .cluster()
        .await?
        .state(&[RecordKind::Settings], &[])
        .await?;
    let settings = state.settings();
    context
        .out
        .show(&shape::Settings::from(settings.as_ref()), || {
            table(context.out, settings)
        })?;
    Ok(Exit::Ok)
}

fn table(out: Out, settings: &Settings) -> String {
    let mut grid = out.grid(&["setting", "value"]);
    let rows = [
        ("history_max", settings.history_max),
        ("clients_max", settings.clients_max),
        ("feature_level", settings.feature_level),
    ];
    for (name, value) in rows {
        grid.row([name.to_owned(), value.to_string()]);
    }
    grid.to_string()
}

async fn set(args: SetArgs, context: &Context) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let state = cluster.state(&[RecordKind::Settings], &[]).await?;
    let now = state.settings();
    let command = Command::SetSettings {
        expected: args.expected.map_or(now.modified, Revision),
        history_max: args.history_max.unwrap_or(now.history_max),
        clients_max: args.clients_max.unwrap_or(now.clients_max),
    };
    let done = cluster.execute(command).await?;
    context.done("settings changed", done)
}
