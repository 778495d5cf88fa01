<?php

declare(strict_types=1);

namespace App\Models;

use Illuminate\Database\Eloquent\Model;

/**
 * A job that a worker has done.
 */
class Visit extends Model
{
    public const UPDATED_AT = null;

    protected $fillable = ['token', 'release', 'process'];
}
