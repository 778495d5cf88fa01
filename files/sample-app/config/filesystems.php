<?php

return [
    'default' => env('FILESYSTEM_DISK', 'local'),
    'disks' => [
        'local' => ['driver' => 'local', 'root' => storage_path('app'), 'throw' => true],
        'tenants' => ['driver' => 'local', 'root' => storage_path('app/tenants'), 'throw' => true],
    ],
    'links' => [public_path('storage') => storage_path('app/public')],
];
