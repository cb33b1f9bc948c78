//! Vendor: people of a vendor see what they have to do, by tokens alone.

use usufruct_core::id::{AgencyId, ServiceId};

use crate::{App, DeletionNotice, Error};

impl App {
    /// What each service of a vendor has to delete, by the pseudonyms that it knows. From now on they count as told.
    pub fn vendor_deletions(&self, vendor: &AgencyId) -> Result<Vec<(ServiceId, Vec<DeletionNotice>)>, Error> {
        let register = self.register();
        let own = register.services.iter().filter(|(_, entry)| entry.body.agency == *vendor);
        own.map(|(id, _)| Ok((id.clone(), self.deletion_notices(id)?))).collect()
    }
}
