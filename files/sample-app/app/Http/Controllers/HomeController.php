<?php

declare(strict_types=1);

namespace App\Http\Controllers;

use App\Models\Visit;
use Illuminate\Contracts\View\View;

class HomeController
{
    private const SHOWN = 10;

    public function __invoke(): View
    {
        return view('home', ['visits' => Visit::latest('id')->limit(self::SHOWN)->get()]);
    }
}
