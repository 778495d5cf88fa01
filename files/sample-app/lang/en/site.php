<?php

return [
    'title' => 'Itqan Platform',
    'welcome' => 'The sample application is running.',
    'release' => 'Release',
    'visits' => 'Recorded visits',
    'none' => 'Nothing yet',
    'tenant' => 'Tenant: :name',
    'files' => 'Files',
    'other_language' => 'العربية',
];
