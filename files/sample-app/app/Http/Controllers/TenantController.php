<?php

declare(strict_types=1);

namespace App\Http\Controllers;

use Illuminate\Contracts\View\View;
use Illuminate\Support\Facades\Storage;

class TenantController
{
    /**
     * A tenant's page. $tenant is one DNS label (see routes/web.php), so it cannot leave its folder.
     */
    public function __invoke(string $tenant): View
    {
        $files = array_map('basename', Storage::disk('tenants')->files($tenant));

        return view('tenant', ['tenant' => $tenant, 'files' => $files]);
    }
}
